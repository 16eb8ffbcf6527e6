"""Pickles read as data: nothing is imported, nothing is called, whatever they ask for.

A pickle is a small program for a stack machine, and some of its instructions import names and call them. This machine
knows all instructions and does those that make plain values: numbers, texts, bytes, lists, tuples, dicts, sets. A name
becomes a `Name`, and what would come of calling it a `Stub`: both only say what the file asked for. The few names that
plain data and arrays need (`OrderedDict`, a tensor from its storage) are looked up in a table that the caller gives.
"""

from __future__ import annotations

import pickletools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

__all__ = ["Damaged", "Name", "Stub", "Unpickled", "read_pickle"]

INSTRUCTIONS = 20_000_000
"""More than this many instructions are no checkpoint."""

KEY_DEPTH = 8
"""Tuples nested deeper than this are no key of a dict."""


class Damaged(ValueError):
    """A pickle that ends too early, contradicts itself, or needs what a file cannot hold."""


@dataclass(frozen=True)
class Name:
    """A function or class that a pickle names; it was not looked for."""

    text: str
    """Module and name, joined by a point."""


@dataclass(eq=False)
class Stub:
    """What a pickle wanted to make by calling a name: who should have made it and of what. It has no behaviour."""

    name: str
    arguments: tuple[Any, ...] = ()
    state: Any = None
    items: list[Any] = field(default_factory=list)
    entries: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Unpickled:
    """A pickle's value, and how many objects of which name were left as stubs (0: named, but nothing made of it)."""

    value: Any
    stubs: Counter[str]


Makers = Mapping[str, Callable[..., Any]]
"""Name → what makes a plain value of the arguments."""


def read_pickle(file: BinaryIO, makers: Makers, persistent: Callable[[Any], Any] | None = None) -> Unpickled:
    """Read one pickle, leaving `file` behind its end. Raises Damaged.

    makers: names that may become values. Values that they make may have a method `build(state)`, which gets what the
    pickle would have set as their state. persistent: what an id that stands for something outside the pickle means.
    """
    machine = _Machine(makers, persistent)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if count > INSTRUCTIONS:
                raise Damaged("it has too many instructions")
            if opcode.name == "STOP":
                return Unpickled(machine.pop(), machine.stubs)
            machine.do(opcode.name, argument)
    except Damaged:
        raise
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, AttributeError) as error:
        raise Damaged(f"it is not a whole pickle ({error})") from None
    raise Damaged("it is not a whole pickle")


_MARK = object()
_VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_DICT": dict, "EMPTY_SET": set}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Machine:
    """The stack, the memo and the names met so far."""

    def __init__(self, makers: Makers, persistent: Callable[[Any], Any] | None) -> None:
        self.makers, self.persistent = makers, persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.stubs: Counter[str] = Counter()

    def do(self, name: str, argument: Any) -> None:
        """One instruction."""
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self.stack.append(_EMPTY[name]())
        elif name in _TUPLES:
            self.stack[-_TUPLES[name] :] = [tuple(self.last(_TUPLES[name]))]
        elif name not in ("PROTO", "FRAME"):
            do = getattr(self, f"do_{name.lower()}", None)
            if do is None:
                raise Damaged(f"it uses {name}, which files do not")
            do(argument)

    def last(self, count: int) -> list[Any]:
        """The top values; there must be so many above the last mark."""
        found = self.stack[-count:]
        if len(found) < count or any(value is _MARK for value in found):
            raise Damaged("it takes more from the stack than there is")
        return found

    def pop(self) -> Any:
        """The top value, taken off."""
        value = self.last(1)[0]
        del self.stack[-1]
        return value

    def marked(self) -> list[Any]:
        """Everything above the last mark, taken off with the mark."""
        for place in range(len(self.stack) - 1, -1, -1):
            if self.stack[place] is _MARK:
                found = self.stack[place + 1 :]
                del self.stack[place:]
                return found
        raise Damaged("a mark is missing")

    # --- the stack and the memo

    def do_mark(self, _: Any) -> None:
        self.stack.append(_MARK)

    def do_pop(self, _: Any) -> None:
        del self.stack[-1]

    def do_pop_mark(self, _: Any) -> None:
        self.marked()

    def do_dup(self, _: Any) -> None:
        self.stack.append(self.last(1)[0])

    def do_put(self, key: int) -> None:
        self.memo[key] = self.last(1)[0]

    do_binput = do_long_binput = do_put

    def do_memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.last(1)[0]

    def do_get(self, key: int) -> None:
        self.stack.append(self.memo[key])

    do_binget = do_long_binget = do_get

    # --- containers

    def do_list(self, _: Any) -> None:
        self.stack.append(self.marked())

    def do_tuple(self, _: Any) -> None:
        self.stack.append(tuple(self.marked()))

    def do_dict(self, _: Any) -> None:
        made: dict[Any, Any] = {}
        _fill(made, self.marked())
        self.stack.append(made)

    def do_frozenset(self, _: Any) -> None:
        self.stack.append(frozenset(_key(value) for value in self.marked()))

    def do_append(self, _: Any) -> None:
        self.extend([self.pop()])

    def do_appends(self, _: Any) -> None:
        self.extend(self.marked())

    def extend(self, values: list[Any]) -> None:
        container = self.last(1)[0]
        if isinstance(container, Stub):
            container = container.items
        if not isinstance(container, list):
            raise Damaged("it appends to what is no list")
        container.extend(values)

    def do_setitem(self, _: Any) -> None:
        value, key = self.pop(), self.pop()
        self.update([key, value])

    def do_setitems(self, _: Any) -> None:
        self.update(self.marked())

    def update(self, pairs: list[Any]) -> None:
        container = self.last(1)[0]
        if isinstance(container, Stub):
            container = container.entries
        if not isinstance(container, dict):
            raise Damaged("it sets an entry of what is no dict")
        _fill(container, pairs)

    def do_additems(self, _: Any) -> None:
        values = self.marked()
        container = self.last(1)[0]
        if isinstance(container, Stub):
            container.items.extend(values)
        elif isinstance(container, set):
            container.update(_key(value) for value in values)
        else:
            raise Damaged("it adds to what is no set")

    # --- names and what is made of them

    def named(self, text: str) -> None:
        if text not in self.makers:
            self.stubs[text] += 0
        self.stack.append(Name(text))

    def do_global(self, argument: str) -> None:
        self.named(".".join(argument.split(" ", 1)))

    def do_stack_global(self, _: Any) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise Damaged("it names what is no text")
        self.named(f"{module}.{name}")

    def do_ext1(self, code: int) -> None:
        self.named(f"copyreg extension {code}")

    do_ext2 = do_ext4 = do_ext1

    def make(self, maker: Any, arguments: Any) -> None:
        """What calling `maker` would give: a value from the table, or a stub."""
        arguments = tuple(arguments) if isinstance(arguments, tuple | list) else (arguments,)
        if isinstance(maker, Name) and maker.text in self.makers:
            made = self.makers[maker.text](*arguments)
        else:
            made = Stub(_text(maker), arguments)
        if isinstance(made, Stub):
            self.stubs[made.name] += 1
        self.stack.append(made)

    def do_reduce(self, _: Any) -> None:
        arguments, maker = self.pop(), self.pop()
        self.make(maker, arguments)

    do_newobj = do_reduce

    def do_newobj_ex(self, _: Any) -> None:
        named, arguments, maker = self.pop(), self.pop(), self.pop()
        self.make(maker, (*arguments, named) if named else arguments)

    def do_inst(self, argument: str) -> None:
        arguments = tuple(self.marked())
        self.named(".".join(argument.split(" ", 1)))
        self.make(self.pop(), arguments)

    def do_obj(self, _: Any) -> None:
        maker, *arguments = self.marked()
        self.make(maker, tuple(arguments))

    def do_build(self, _: Any) -> None:
        state, container = self.pop(), self.last(1)[0]
        if isinstance(container, Stub):
            container.state = state
        elif hasattr(container, "build"):
            container.build(state)

    def do_binpersid(self, _: Any) -> None:
        if self.persistent is None:
            raise Damaged("it refers to something outside of it")
        self.stack.append(self.persistent(self.pop()))


def _text(maker: Any) -> str:
    if isinstance(maker, Name):
        return maker.text
    return f"what {maker.name} gives" if isinstance(maker, Stub) else f"a {type(maker).__name__}"


def _fill(container: dict[Any, Any], pairs: list[Any]) -> None:
    if len(pairs) % 2:
        raise Damaged("a key has no value")
    for place in range(0, len(pairs), 2):
        container[_key(pairs[place])] = pairs[place + 1]


def _key(value: Any) -> Any:
    """A value fit for a dict's key: hashing it must not go deep, which Python does not watch over."""
    parts = [value]
    for _ in range(KEY_DEPTH):
        parts = [part for parent in parts if isinstance(parent, tuple | frozenset) for part in parent]
        if not parts:
            hash(value)
            return value
    raise Damaged("a key is nested too deeply")
