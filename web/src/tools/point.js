/** Set a point, as an object. */

import { FORGETFUL, sketchTool } from "../drawing/sketching.js";
import { toServer } from "../geometry.js";

export const tool = (context) =>
  sketchTool(
    { ...context, sketches: FORGETFUL },
    {
      id: "point",
      label: "Set a point",
      icon: ["M12 8.500a3.500 3.500 0 1 1 0 7 3.500 3.500 0 0 1 0-7z"],
      keys: ["Shift+p"],
      order: 34,
      makes: true,
      type: "Point",
      advice: () => [
        ["", "click where the thing is"],
        ["", "Alt: no snapping"],
      ],
      finish: (place) => context.actions.addDrawn(toServer([place])),
    },
  );
