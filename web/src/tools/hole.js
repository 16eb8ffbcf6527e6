/** Cut a hole into an object, or into the outline that is being clicked. */

import { flip, toServer } from "../geometry.js";
import { HOW, shapeOfDrawing, sketchTool } from "../drawing/sketching.js";

export const tool = (context) =>
  sketchTool(context, {
    id: "hole",
    label: "Cut a hole",
    icon: ["M4 5h16v14H4z", "M12 9a3 3 0 1 0 0 6a3 3 0 1 0 0-6"],
    keys: ["o"],
    order: 60,
    drawing: "Hole",
    type: "Polygon",
    advice: () => [
      [
        "",
        context.clicking.begun()
          ? "draw around what is to be cut out of the outline"
          : "draw around what is to be cut out",
      ],
      ...HOW,
    ],
    async finish(drawing) {
      const shape = shapeOfDrawing(drawing);
      if (!shape) return context.toast.note("That hole has no area.");
      if (context.clicking.begun()) {
        for (const polygon of shape)
          await context.clicking.paint({ type: "Polygon", coordinates: flip(polygon) }, false);
        return undefined;
      }
      const targets = context.actions.underDrawing(drawing[0]);
      if (!targets.length) return context.toast.note("Draw the hole inside an object, or select one first.");
      for (const target of targets) await context.actions.cut(target, toServer(shape));
      return undefined;
    },
  });
