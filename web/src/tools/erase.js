/** Erase with a brush. */

import { brushTool } from "../drawing/brushing.js";

export const tool = (context) =>
  brushTool(context, {
    id: "erase",
    label: "Erase",
    icon: ["M14 4l6 6-9 9H7l-3.5-3.500z", "M9 9l6 6", "M11 20h9"],
    keys: ["x"],
    order: 80,
    adding: false,
  });
