/** Keyboard: named acts, their default keys, and keys of the user's own kept in this browser. */

import { signal } from "./signal.js";

/** id, what it does, default keys ("Ctrl" also means ⌘), group in the help. Order is the order of the help. */
export const ACTS = [
  ["accept", "Accept the outline", ["Enter"], "Clicking"],
  ["clear", "Clear the clicks, then leave the tool", ["Escape"], "Clicking"],
  ["target", "This object ↔ everything like it", ["Tab"], "Clicking"],
  ["hint", "Go to the suggested click", ["h"], "Clicking"],
  ["alternative", "Square corners on or off", ["q"], "Clicking"],
  ["undo", "Undo", ["Ctrl+z", "Backspace"], "Everything"],
  ["redo", "Redo", ["Ctrl+y", "Ctrl+Shift+z"], "Everything"],
  ["delete", "Delete the selected objects", ["Delete"], "Everything"],
  ["selectAll", "Select all objects of the image", ["Ctrl+a"], "Everything"],
  ["help", "Keys and help", ["?", "F1"], "Everything"],
  ["tool.click", "Click", ["c"], "Tools"],
  ["tool.select", "Select", ["v"], "Tools"],
  ["tool.draw", "Draw by hand", ["p"], "Tools"],
  ["tool.vertex", "Edit vertices", ["e"], "Tools"],
  ["tool.split", "Split", ["s"], "Tools"],
  ["merge", "Merge the selected objects", ["m"], "Tools"],
  ["tool.hole", "Cut a hole", ["o"], "Tools"],
  ["tool.paint", "Paint", ["b"], "Tools"],
  ["tool.erase", "Erase", ["x"], "Tools"],
  ["brush.smaller", "Smaller brush", ["["], "Tools"],
  ["brush.larger", "Larger brush", ["]"], "Tools"],
  ["reopen", "Go on clicking on the selected object", ["r"], "Objects"],
  ["example", "Use the selected object as an example", ["+"], "Objects"],
  ["counterexample", "Use it as a counter-example", ["-"], "Objects"],
  ["find", "Find the rest in this view", ["f"], "Objects"],
  ["yes", "Proposal or review: yes, keep it", ["y"], "Objects"],
  ["no", "Proposal or review: no", ["n"], "Objects"],
  ["review", "Next least certain object", ["g"], "Objects"],
  ["export", "Export", ["Ctrl+e"], "Files"],
  ["import", "Import polygons", ["Ctrl+i"], "Files"],
  ["image.previous", "Previous image", ["a"], "View"],
  ["image.next", "Next image", ["d"], "View"],
  ["zoom.in", "Zoom in", ["="], "View"],
  ["zoom.out", "Zoom out", ["_"], "View"],
  ["fit", "Whole image", ["0"], "View"],
  ["peek", "Hide the outlines while held", ["t"], "View"],
  ["swipe", "Swipe", ["w"], "View"],
  ["panel", "Show or hide the panel", ["\\"], "View"],
].map(([id, label, keys, group]) => ({ id, label, keys, group }));

const STORAGE = "terraclick.keys";

/** "Ctrl+Shift+z" of a keyboard event; Shift is named only with Ctrl or Alt or on keys that are no characters. */
export function chord(event) {
  const parts = [];
  if (event.ctrlKey || event.metaKey) parts.push("Ctrl");
  if (event.altKey) parts.push("Alt");
  const character = event.key.length === 1;
  if (event.shiftKey && (!character || parts.length)) parts.push("Shift");
  parts.push(character ? event.key.toLowerCase() : event.key);
  return parts.join("+");
}

/** How a chord is shown: "Ctrl Z", "⌫", "↵ Enter". */
export function pretty(keys) {
  const key = keys.endsWith("+") ? "+" : keys.slice(keys.lastIndexOf("+") + 1);
  const modifiers = keys.slice(0, keys.length - key.length).split("+").filter(Boolean);
  return [...modifiers, NAMES[key] ?? (key.length === 1 ? key.toUpperCase() : key)].join(" ");
}

const NAMES = { Enter: "↵ Enter", Escape: "Esc", Backspace: "⌫", Delete: "Del", " ": "Space", ArrowLeft: "←", ArrowRight: "→" };

export function createKeys(storage = globalThis.localStorage) {
  const own = signal(read(storage));
  const handlers = new Map();
  const released = new Map();

  const keysOf = (id) => own.value[id] ?? ACTS.find((act) => act.id === id)?.keys ?? [];
  const actOf = (keys) => ACTS.find((act) => keysOf(act.id).includes(keys))?.id;

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
    const keys = chord(event);
    const id = actOf(keys);
    const run = id ? handlers.get(id) : handlers.get(`class:${keys}`);
    if (!run || (onButton(event) && ["Enter", " "].includes(event.key))) return;
    if (run(event) === false) return;
    event.preventDefault();
    event.stopPropagation();
  }

  function onKeyUp(event) {
    const id = actOf(chord(event));
    released.get(id)?.(event);
  }

  window.addEventListener("keydown", onKeyDown, true);
  window.addEventListener("keyup", onKeyUp, true);

  return {
    own,
    keysOf,
    /** Run `work` on the keys of an act; it may return false to leave the key to the browser. */
    on: (id, work) => handlers.set(id, work),
    onRelease: (id, work) => released.set(id, work),
    /** Keys of classes are kept with the class, not here. */
    onClass: (key, work) => (work ? handlers.set(`class:${key}`, work) : handlers.delete(`class:${key}`)),
    clearClasses: () => [...handlers.keys()].filter((key) => key.startsWith("class:")).forEach((key) => handlers.delete(key)),
    run: (id, event) => handlers.get(id)?.(event),
    /** Give an act one key of the user's own; whoever had it before loses it. Returns that act or undefined. */
    assign(id, keys) {
      const loser = actOf(keys);
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
    (target.matches("input, textarea, select") && !["range", "checkbox", "radio", "button", "color"].includes(target.type)));

const onButton = (event) => event.target instanceof HTMLElement && event.target.matches("button, a, summary");
