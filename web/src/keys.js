/** Keyboard: named commands, their default keys, and keys of the user's own kept in this browser. */

import { signal } from "./signal.js";

/** id, what it does, default keys ("Ctrl" also means ⌘), group in the help. Order is the order of the help. */
export const COMMANDS = [
  ["accept", "Accept the outline", ["Enter"], "Clicking"],
  ["clear", "Clear the clicks, then leave the tool", ["Escape"], "Clicking"],
  ["target", "This object ↔ everything like it", ["Tab"], "Clicking"],
  ["hint", "Go to the suggested click", ["h"], "Clicking"],
  ["alternative", "Square corners on or off", ["q"], "Clicking"],
  ["exclude", "Clicks include or exclude", ["z"], "Clicking"],
  ["undo", "Undo", ["Ctrl+z", "Backspace"], "Everything"],
  ["redo", "Redo", ["Ctrl+y", "Ctrl+Shift+z"], "Everything"],
  ["delete", "Delete the selected objects, or corners while editing them", ["Delete"], "Everything"],
  ["copy", "Copy the selected objects", ["Ctrl+c"], "Everything"],
  ["paste", "Paste the copies under the cursor", ["Ctrl+v"], "Everything"],
  ["selectAll", "Select all objects of the image", ["Ctrl+a"], "Everything"],
  ["help", "Keys and help", ["?", "F1"], "Everything"],
  ["merge", "Combine the selected objects into one", ["m"], "Objects"],
  ["explode", "Separate the parts of the selected objects", ["u"], "Objects"],
  ["parts", "Take the selected object apart: what comes next are its parts", ["Shift+t"], "Objects"],
  ["square", "Shape the selected objects as the sliders say", ["j"], "Objects"],
  ["brush.smaller", "Smaller brush", ["["], "Tools"],
  ["brush.larger", "Larger brush", ["]"], "Tools"],
  ["reopen", "Go on clicking on the selected object", ["r"], "Objects"],
  ["example", "Use the selected object as an example", ["i"], "Objects"],
  ["counterexample", "Use it as a counter-example", ["Shift+i"], "Objects"],
  ["find", "Find the rest in this view", ["f"], "Objects"],
  ["yes", "Proposal or review: yes, keep it", ["y"], "Objects"],
  ["no", "Proposal or review: no", ["n"], "Objects"],
  ["review", "Next least certain object", ["g"], "Objects"],
  ["export", "Export", ["Ctrl+e"], "Files"],
  ["import", "Import polygons", ["Ctrl+i"], "Files"],
  ["images", "All images: search, filter, mark as done", ["Ctrl+k"], "View"],
  ["image.previous", "Previous image", ["a"], "View"],
  ["image.next", "Next image", ["d"], "View"],
  ["zoom.in", "Zoom in", ["+", "="], "View"],
  ["zoom.out", "Zoom out", ["-", "_"], "View"],
  ["fit", "Whole image", ["0"], "View"],
  ["goto", "Go to coordinates", ["Ctrl+g"], "View"],
  ["cursor.left", "Move the key cursor left", ["ArrowLeft", "Shift+ArrowLeft"], "Without a mouse"],
  ["cursor.right", "Move the key cursor right", ["ArrowRight", "Shift+ArrowRight"], "Without a mouse"],
  ["cursor.up", "Move the key cursor up", ["ArrowUp", "Shift+ArrowUp"], "Without a mouse"],
  ["cursor.down", "Move the key cursor down", ["ArrowDown", "Shift+ArrowDown"], "Without a mouse"],
  ["cursor.click", "Click at the key cursor", ["."], "Without a mouse"],
  ["cursor.right-click", "Right click at the key cursor", [","], "Without a mouse"],
  ["peek", "Hide the outlines while held", ["t"], "View"],
  ["swipe", "Swipe", ["w"], "View"],
  ["panel", "Show or hide the panel", ["\\"], "View"],
].map(([id, label, keys, group]) => ({ id, label, keys, group }));

const STORAGE = "terraclick.keys";

/**
 * "Ctrl+Shift+z" of a keyboard event; Shift is named on letters, with Ctrl or Alt, and on keys that are no characters.
 */
export const chord = (event) => chordOf(event, event.key);

/** The same by where the key is: what a layout without Latin letters, or with other places for them, means by it. */
export function chordByCode(event) {
  const [, letter, digit] = /^(?:Key([A-Z])|(?:Digit|Numpad)([0-9]))$/.exec(event.code ?? "") ?? [];
  const key =
    letter?.toLowerCase() ?? digit ?? { NumpadAdd: "+", NumpadSubtract: "-", NumpadEnter: "Enter" }[event.code];
  return key ? chordOf(event, key) : null;
}

function chordOf(event, key) {
  const parts = [];
  if (event.ctrlKey || event.metaKey) parts.push("Ctrl");
  if (event.altKey) parts.push("Alt");
  const character = key.length === 1;
  const letter = character && key.toLowerCase() !== key.toUpperCase();
  if (event.shiftKey && (!character || letter || parts.length)) parts.push("Shift");
  parts.push(character ? key.toLowerCase() : key);
  return parts.join("+");
}

/** Whether a key gives a letter of another script: then its place counts. */
const foreign = ({ key }) => key.length === 1 && !/^[\x20-\x7e]$/.test(key);

/** How a chord is shown: "Ctrl Z", "⌫", "↵ Enter". */
export function pretty(keys) {
  const key = keys.endsWith("+") ? "+" : keys.slice(keys.lastIndexOf("+") + 1);
  const modifiers = keys
    .slice(0, keys.length - key.length)
    .split("+")
    .filter(Boolean);
  return [...modifiers, NAMES[key] ?? (key.length === 1 ? key.toUpperCase() : key)].join(" ");
}

const NAMES = {
  Enter: "↵ Enter",
  Escape: "Esc",
  Backspace: "⌫",
  Delete: "Del",
  " ": "Space",
  ArrowLeft: "←",
  ArrowRight: "→",
};

export function createKeys(storage = globalThis.localStorage) {
  const own = signal(read(storage));
  const handlers = new Map();
  const released = new Map();

  const commands = [...COMMANDS];

  const keysOf = (id) => own.value[id] ?? commands.find((command) => command.id === id)?.keys ?? [];
  const commandOf = (keys) => commands.find((command) => keysOf(command.id).includes(keys))?.id;

  /** What an event's key means here: by its letter, else by its place on the keyboard. */
  function meaning(event) {
    const said = [chord(event), chordByCode(event)].filter(Boolean);
    if (foreign(event)) said.reverse();
    for (const keys of said) {
      const id = commandOf(keys);
      const run = id ? handlers.get(id) : handlers.get(`class:${keys}`);
      if (run) return { id, run };
      if (!foreign(event)) break; // a letter that means nothing here is not another key
    }
    return {};
  }

  function save(next) {
    own.set(next);
    try {
      storage?.setItem(STORAGE, JSON.stringify(next));
    } catch {
      // a browser that keeps nothing still works, it only forgets
    }
  }

  function onKeyDown(event) {
    if (event.isComposing || isTyping(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    const { run } = meaning(event);
    if (!run || (onButton(event) && ["Enter", " "].includes(event.key))) return;
    if (run(event) === false) return;
    event.preventDefault();
    event.stopPropagation();
  }

  function onKeyUp(event) {
    released.get(meaning(event).id)?.(event);
  }

  window.addEventListener("keydown", onKeyDown, true);
  window.addEventListener("keyup", onKeyUp, true);

  return {
    own,
    keysOf,
    commands,
    /** Commands that are declared elsewhere (the tools'), before the first of their group. */
    declare(more) {
      const at = commands.findIndex((command) => command.group === more[0].group);
      commands.splice(at < 0 ? commands.length : at, 0, ...more);
    },
    /** Run `work` on the keys of a command; it may return false to leave the key to the browser. */
    on: (id, work) => handlers.set(id, work),
    onRelease: (id, work) => released.set(id, work),
    /** Keys of classes are kept with the class, not here. */
    onClass: (key, work) => (work ? handlers.set(`class:${key}`, work) : handlers.delete(`class:${key}`)),
    clearClasses: () =>
      [...handlers.keys()].filter((key) => key.startsWith("class:")).forEach((key) => handlers.delete(key)),
    run: (id, event) => handlers.get(id)?.(event),
    /** Give a command one key of the user's own; whoever had it before loses it. Returns that command or undefined. */
    assign(id, keys) {
      const loser = commandOf(keys);
      const next = { ...own.value };
      if (loser && loser !== id) next[loser] = keysOf(loser).filter((key) => key !== keys);
      next[id] = [keys];
      save(next);
      return loser !== id ? loser : undefined;
    },
    reset: () => save({}),
    /** What is written on a button: "Accept (↵ Enter)". */
    titled(text, id) {
      const keys = keysOf(id)[0];
      return keys ? `${text} (${pretty(keys)})` : text;
    },
  };
}

function read(storage) {
  try {
    const value = JSON.parse(storage?.getItem(STORAGE) ?? "{}");
    return value && typeof value === "object" ? value : {};
  } catch {
    return {};
  }
}

const isTyping = (target) =>
  target instanceof HTMLElement &&
  (target.isContentEditable ||
    (target.matches("input, textarea, select") &&
      !["range", "checkbox", "radio", "button", "color"].includes(target.type)));

const onButton = (event) => event.target instanceof HTMLElement && event.target.matches("button, a, summary");
