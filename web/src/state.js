/**
 * Everything that the map knows and that more than one file reads: signals in named parts. A part has one writer, the
 * file named above it; components and other files read it and ask that file to change it. What one dialog or one tool
 * knows for itself stays in its file. What a request says of itself is `caller` in api.js.
 */

import { signal } from "./signal.js";
import { lasting } from "./window.js";

export const createState = () => ({
  /** What the server keeps, and what is chosen of it: project.js. Class and target also: who picks them. */
  project: {
    state: signal(null),
    images: signal([]),
    image: signal(null),
    classes: signal([]),
    references: signal([]),
    /** uuid → Feature of the shown image, coordinates as the server gives them. Replaced whole. */
    objects: signal(new Map()),
    selection: signal(new Set()),
    className: signal(""),
    target: signal("object"),
    saved: signal({ kind: "saved", at: null }),
    loading: signal(false),
    /** The list of proposals that an act, or its undoing, concerned: as it is now. */
    proposed: signal(null),
  },

  /** The outline that is being clicked: clicking.js. */
  clicking: {
    openOutline: signal(null),
    busy: signal(0),
    shape: signal(shapeKept()),
    useExamples: signal(true),
    /** Clicks without an answer yet. */
    waiting: signal([]),
    /** A box without an answer yet, {x1, y1, x2, y2}. */
    boxing: signal(null),
    /** Counts outlines that were left as they are: they wait on the server. */
    parked: signal(0),
  },

  /** What is typed for the next object: words.js. */
  words: {
    label: signal(""),
    attributes: signal({}),
    /** Whether the columns are as they were for the last object, untouched. */
    repeated: signal(false),
    /** The object whose parts come next, as its id; null for none. */
    whole: signal(null),
  },

  /** What can be undone and redone, and how many turns are on their way: history.js. */
  history: { state: signal({ undo: null, redo: null, busy: 0 }) },

  /** "Find the rest" and the review: proposals.js and actions.js. */
  proposals: { proposals: signal(null), reviewing: signal(false) },

  /** Outlines and drawings that were left open: drafts.js. */
  drafts: { waiting: signal([]) },

  /** The tool in the hand: tools.js. Brush and taps: handlers.js and the touch bar. */
  hand: {
    tool: signal(null),
    /** Half the width of the brush in screen pixels. */
    brushSize: signal(18),
    /** Whether a tap takes away. */
    excluding: signal(false),
  },

  /** How picture and outlines are shown: the panel Display (ui/display.js) and keys (handlers.js). */
  display: {
    opacity: signal(lasting.get("display")?.opacity ?? 0.6),
    labels: signal(false),
    /** Classes that are not drawn, and those that tools leave alone. */
    hidden: signal(new Set()),
    locked: signal(new Set()),
    /** Where the swipe handle is, 0 to 1; null for none. */
    swipe: signal(null),
    peeking: signal(false),
    /** uuid of the object that is open for more clicks: its outline is drawn instead of it. Written by clicking.js. */
    opened: signal(null),
    /** {bands, stretch, rescale, gamma} as the tile route takes them; undefined where the server chooses. */
    tiles: signal({}),
    /** Heatmaps of the shown image, [{id, name, file, version, shown, opacity}]; beneath the outlines where shown. */
    heatmaps: signal([]),
  },

  /** Where the map stands: map/stage.js. */
  stage: { loading: signal(0), resolution: signal(1), cursor: signal(null) },

  /** How far the model is with this part of the image, {done, total}: connection.js. */
  encoding: signal(null),

  /** The page itself: main.js, panel/ and ui/. */
  page: {
    /** "now", "done" or, where the map cannot be opened, why. */
    opening: signal("now"),
    tab: signal("objects"),
    filter: signal({ text: "", class: "*", status: "*" }),
    sort: signal("newest"),
    displayOpen: signal(false),
    /** Whether there is a touch screen. */
    touched: signal(Boolean(globalThis.matchMedia?.("(pointer: coarse)").matches)),
    messages: signal([]),
  },
});

function shapeKept() {
  const { simplify_m, walls } = lasting.get("shape") ?? {};
  return { simplify_m: Number(simplify_m) || 0, walls: Number(walls) || 0 };
}
