/** The guide inside the map: what to do, step by step; keys are named as they are set. */

import { h } from "../markup.js";
import { pretty } from "../keys.js";

/** Sections [title, [sentence, …]]; {command} in a sentence is that command's key. */
const GUIDE = [
  [
    "Outline a thing",
    [
      "Click on it. The dashed line under the mouse shows what a click would give.",
      "Click on what is missing; right-click, or press {exclude} and click, on what is too much. On a touch " +
        "screen switch between Include and Exclude below the map.",
      "Zoom in before a further click to have the edge drawn finer. The thin dotted frame is the part of the " +
        "picture that the model saw.",
      "{accept} keeps the outline in the session file at once; {undo} takes back whatever was done last.",
      "{target} switches between this object and everything like it in the view.",
    ],
  ],
  [
    "Draw and correct by hand",
    [
      "{tool.draw} draws corner by corner. Edges are held on right angles and multiples of 45°; hold Alt for " +
        "none of that. A right click or {accept} ends it.",
      "{tool.vertex} edits corners: drag one, drag an edge for a new one, {delete} removes the one under the " +
        "cursor. Shift-drag takes several, which then move together.",
      "{tool.move} moves selected objects; the round handle turns them; arrow keys move by one pixel. {copy} " +
        "and {paste} copy.",
      "{tool.split} splits along a line, {merge} combines, {explode} separates parts, {tool.hole} cuts a hole, " +
        "also into an outline that is not accepted yet.",
      "The button Shape beside the selection makes right angles, or fewer corners, as the sliders say.",
    ],
  ],
  [
    "Classes",
    [
      "Double-click a class, or use its pencil, to change name, colour, key and attributes. The eye hides a " +
        "class, the lock keeps tools off it.",
      "Objects of a class of kind cover share their borders: a corner that two share moves in both.",
    ],
  ],
  [
    "Many objects",
    [
      "Select an object and press {find}: Find the rest proposes what looks like it. {yes} keeps, {no} refuses," +
        " {clear} leaves.",
      "{review} goes through the objects, least certain first: {yes} approves, {no} rejects.",
      "A click at the same place takes what lies behind; Shift-drag in the Select tool takes all in a box.",
    ],
  ],
  [
    "Around the map",
    [
      "{zoom.in} and {zoom.out} zoom, {fit} shows the whole image, {goto} goes to coordinates, {tool.measure} " +
        "measures, {peek} hides the outlines while held, {panel} hides the panel.",
      "Without a mouse: Tab goes to the map, arrow keys move a crosshair, {cursor.click} clicks there and " +
        "{cursor.right-click} right-clicks.",
      "Export shows where its file was written; import tells what it left out.",
    ],
  ],
];

export const guide = (keys) =>
  h(
    "div.guide",
    GUIDE.map(([title, sentences]) =>
      h(
        "section",
        h("h3", title),
        h(
          "ul",
          sentences.map((sentence) =>
            h(
              "li",
              sentence
                .split(/(\{[\w.-]+\})/)
                .map((part) =>
                  part.startsWith("{") ? h("kbd", pretty(keys.keysOf(part.slice(1, -1))[0] ?? "–")) : part,
                ),
            ),
          ),
        ),
      ),
    ),
  );
