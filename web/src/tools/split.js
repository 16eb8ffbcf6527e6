/** Split objects along a line. */

import { HOW, sketchTool } from "../drawing/sketching.js";

export const tool = (context) =>
  sketchTool(context, {
    id: "split",
    label: "Split",
    icon: ["M4 7h6v10H4z", "M14 7h6v10h-6z", "M12 3v18"],
    keys: ["s"],
    order: 50,
    drawing: "Splitting line",
    type: "LineString",
    advice: () => [["", "draw a line right through an object"], ...HOW],
    async finish(line) {
      const targets = context.actions.underDrawing(line, { line: true });
      if (!targets.length) return context.toast.note("Draw the line right through an object, or select one first.");
      for (const target of targets) await context.actions.split(target, line);
    },
  });
