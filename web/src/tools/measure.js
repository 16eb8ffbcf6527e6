/** Measure a length; nothing is kept. */

import { lengthText } from "../drawing/guides.js";
import { FORGETFUL, sketchTool } from "../drawing/sketching.js";

export const tool = (context) =>
  sketchTool(
    { ...context, sketches: FORGETFUL },
    {
      id: "measure",
      label: "Measure a length",
      icon: ["M3 15L15 3l6 6L9 21z", "M7 11l2 2", "M10.500 7.500l3 3", "M14 4l2 2"],
      keys: ["l"],
      order: 100,
      freehand: false,
      total: true,
      type: "LineString",
      advice: () => [
        ["", "click along what is to be measured"],
        ["", "Right click or Enter ends it"],
        ["", "Alt: no snapping"],
      ],
      finish(line) {
        const length = line.slice(1).reduce((sum, [x, y], i) => sum + Math.hypot(x - line[i][0], y - line[i][1]), 0);
        context.toast.good(`${lengthText(length, context.project.image.value)} along the line.`);
      },
    },
  );
