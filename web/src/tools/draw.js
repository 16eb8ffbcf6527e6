/** Draw an object corner by corner, or freehand. */

import { toServer } from "../geometry.js";
import { HOW, shapeOfDrawing, sketchTool } from "../drawing/sketching.js";

export const tool = (context) =>
  sketchTool(context, {
    id: "draw",
    label: "Draw by hand",
    icon: ["M4 16.500l5-10 10 2.5 1 8-9 3z", "M9 6.500h.01", "M19 9h.01"],
    keys: ["p"],
    order: 30,
    drawing: "Shape",
    makes: true,
    type: "Polygon",
    advice: () => [["", "click the corners"], ...HOW, ["", "Shift: freehand"]],
    async finish(drawing) {
      const shape = shapeOfDrawing(drawing);
      if (!shape) return context.toast.note("That outline has no area.");
      await context.actions.addDrawn(toServer(shape));
    },
  });
