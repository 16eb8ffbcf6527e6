/** What components are made of. Every label in the map is text, so a class named <script> is only a funny name. */

import { h as vnode, isValidElement } from "preact";

/**
 * h("button.primary", {onclick, title}, "Save") → Preact's node of an element; h(Component, {…}) of a component. The
 * class names after the tag come before those of `class`, `dataset` holds data- attributes; props may be left out.
 */
export function h(tag, props, ...children) {
  if (props === null || typeof props !== "object" || Array.isArray(props) || isValidElement(props))
    return h(tag, {}, props, ...children);
  if (typeof tag !== "string") return vnode(tag, props, ...children);
  const [name, ...classes] = tag.split(".");
  const { class: more, dataset = {}, ...rest } = props;
  for (const [key, value] of Object.entries(dataset)) rest[`data-${key}`] = value;
  if (more || classes.length) rest.class = [...classes, more].filter(Boolean).join(" ");
  return vnode(name || "div", rest, ...children);
}

/** One of the line icons below, or lines of its own ["M4 5h16", …] on 24 × 24; 18 px unless told otherwise. */
export const icon = (name, size = 18) =>
  h(
    "svg.icon",
    { viewBox: "0 0 24 24", width: size, height: size, "aria-hidden": "true" },
    (Array.isArray(name) ? name : (ICONS[name] ?? ICONS.dot)).map((d) => h("path", { d })),
  );

const ICONS = {
  dot: ["M12 9a3 3 0 1 0 0 6a3 3 0 1 0 0-6"],
  click: ["M10 10l10 4-4.5 1.8L13.5 20z", "M9 3v2.5", "M4.8 4.8l1.7 1.7", "M3 9h2.5", "M13.2 4.800l-1.5 1.5"],
  draw: ["M4 16.500l5-10 10 2.5 1 8-9 3z", "M9 6.500h.01", "M19 9h.01"],
  merge: ["M4 5h9v9H4z", "M11 10h9v9h-9z"],
  hole: ["M4 5h16v14H4z", "M12 9a3 3 0 1 0 0 6a3 3 0 1 0 0-6"],
  undo: ["M9 6L4 11l5 5", "M4 11h10a6 6 0 0 1 0 12"],
  redo: ["M15 6l5 5-5 5", "M20 11H10a6 6 0 0 0 0 12"],
  previous: ["M15 5l-7 7 7 7"],
  next: ["M9 5l7 7-7 7"],
  plus: ["M12 5v14", "M5 12h14"],
  minus: ["M5 12h14"],
  close: ["M6 6l12 12", "M18 6L6 18"],
  check: ["M4.5 12.500l5 5 10-11"],
  trash: ["M4 7h16", "M9 7V4h6v3", "M6 7l1 13h10l1-13"],
  star: ["M12 3.500l2.6 5.5 6 .8-4.4 4.2 1.1 6-5.3-2.900L6.7 20l1.1-6L3.4 9.800l6-.8z"],
  search: ["M10.5 4a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13", "M15.5 15.500L21 21"],
  swipe: ["M12 3v18", "M8 8l-4 4 4 4", "M16 8l4 4-4 4"],
  eye: ["M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12z", "M12 9a3 3 0 1 0 0 6a3 3 0 1 0 0-6"],
  import: ["M12 3v12", "M7.5 10.500L12 15l4.5-4.5", "M4 20h16"],
  export: ["M12 15V3", "M7.5 7.500L12 3l4.5 4.5", "M4 20h16"],
  keys: ["M3 6h18v12H3z", "M7 10h.01", "M11 10h.01", "M15 10h.01", "M18 10h.01", "M8 14h8"],
  layers: ["M12 3l9 5-9 5-9-5z", "M3 13l9 5 9-5"],
  fit: ["M4 9V4h5", "M15 4h5v5", "M20 15v5h-5", "M9 20H4v-5"],
  object: ["M5 8l7-4 7 4v8l-7 4-7-4z"],
  alike: ["M4 4h6v6H4z", "M14 4h6v6h-6z", "M4 14h6v6H4z", "M14 14h6v6h-6z"],
  edit: ["M4 20l1-5L16 4l4 4L9 19z", "M13.5 6.500l4 4"],
  hint: ["M12 3a6 6 0 0 0-3.5 10.900V17h7v-3.100A6 6 0 0 0 12 3z", "M9.5 20.500h5"],
  warning: ["M12 4l9 16H3z", "M12 10v5", "M12 17.500h.01"],
  info: ["M12 3.500a8.5 8.5 0 1 0 0 17a8.5 8.5 0 1 0 0-17", "M12 11v5.5", "M12 7.800h.01"],
  image: ["M4 5h16v14H4z", "M4 16l5-5 4 4 3-3 4 4", "M15.5 9h.01"],
  comment: ["M4 5h16v11H9l-5 4z", "M8 9h8", "M8 12h5"],
  review: ["M4 5h16v11H9l-5 4z", "M8.5 10.500l2.5 2.5 4.5-5"],
  parts: ["M4 5h7v6H4z", "M13 13h7v6h-7z", "M16 5l4 0 0 4", "M8 19l-4 0 0-4"],
  lock: ["M6 11h12v9H6z", "M8.500 11V8a3.500 3.500 0 0 1 7 0v3"],
  unlock: ["M6 11h12v9H6z", "M8.500 11V8a3.500 3.500 0 0 1 6.800-1.200"],
  hidden: ["M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12z", "M4 4l16 16"],
  target: ["M12 5a7 7 0 1 0 0 14a7 7 0 1 0 0-14", "M12 2v5", "M12 17v5", "M2 12h5", "M17 12h5"],
  panel: ["M4 5h16v14H4z", "M15 5v14"],
  more: ["M5 12h.01", "M12 12h.01", "M19 12h.01"],
  help: [
    "M12 3.500a8.5 8.5 0 1 0 0 17a8.5 8.5 0 1 0 0-17",
    "M9.500 9.500a2.500 2.500 0 1 1 3.500 2.300c-.8.400-1 .8-1 1.700",
    "M12 16.500h.01",
  ],
  copy: ["M8 8h12v12H8z", "M16 8V4H4v12h4"],
};
