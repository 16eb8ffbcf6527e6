/** Paint with a brush. */

import { brushTool } from "../drawing/brushing.js";

export const tool = (context) =>
  brushTool(context, {
    id: "paint",
    label: "Paint",
    icon: ["M20 4L10.5 13.5", "M8 13c-3 0-3 3-3 4.500S3.5 20 3 20c4 1 8 0 8-4a3 3 0 0 0-3-3z"],
    keys: ["b"],
    order: 70,
    adding: true,
  });
