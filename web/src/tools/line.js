/** Draw a line, as an object. */

import { HOW, sketchTool } from "../drawing/sketching.js";
import { lengthOf, toServer } from "../geometry.js";

export const tool = (context) =>
  sketchTool(context, {
    id: "line",
    label: "Draw a line",
    icon: ["M4 18l6-9 5 5 5-8", "M4 18h.01", "M20 6h.01"],
    keys: ["Shift+l"],
    order: 32,
    drawing: "Line",
    makes: true,
    type: "LineString",
    advice: () => [["", "click along the line"], ...HOW, ["", "Shift: freehand"]],
    async finish(line) {
      const length = lengthOf([line]);
      if (!(length > 0)) return context.toast.note("That line has no length.");
      await context.actions.addDrawn(toServer([line]));
      return undefined;
    },
  });
