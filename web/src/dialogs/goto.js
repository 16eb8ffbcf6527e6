/** Go to a place: pixels, coordinates of the image, or longitude and latitude as the server turns them. */

import { h } from "../dom.js";
import { field, openDialog } from "./dialog.js";

export function gotoDialog({ project, stage, toast }) {
  const image = project.image.value;
  if (!image) return;
  const systems = [
    image.crs && ["crs", `Coordinates of the image (${image.crs_name ?? image.crs})`],
    ["pixels", "Pixels: column, row"],
  ].filter(Boolean);
  const system = h(
    "select",
    { "aria-label": "Given in" },
    systems.map(([value, text]) => h("option", { value }, text)),
  );
  const place = h("input", {
    type: "text",
    inputMode: "decimal",
    placeholder: image.crs ? "500120.5, 4649880.2" : "1200, 640",
    autofocus: true,
    "aria-label": "Coordinates",
  });
  const wrong = h("p.wrong", { role: "alert", hidden: true });
  openDialog(
    "Go to coordinates",
    [field("Place", place, "Two numbers, x first, with a comma or a space between."), field("Given in", system), wrong],
    [h("button.button.primary", "Go there")],
    {
      submit() {
        const numbers = (place.value.match(/[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?/gi) ?? []).map(Number);
        const say = (text) => ((wrong.textContent = text), (wrong.hidden = false), false);
        if (numbers.length !== 2) return say("Give two numbers, such as 500120.5, 4649880.2.");
        const [x, y] = system.value === "pixels" ? numbers : toPixels(image, numbers);
        if (!(x >= 0 && y >= 0 && x <= image.width && y <= image.height))
          return say("That place lies outside the image.");
        const half = Math.min(image.width, image.height, 400) / 2;
        stage.fit([x - half, -y - half, x + half, -y + half], { padding: 0 });
        stage.ping([x, -y]);
        toast.note(`Here: ${place.value.trim()}.`);
        return true;
      },
    },
  );
  place.focus();
}

/** Coordinates of an image's own system in its pixels. */
function toPixels({ transform: [a, b, c, d, e, f] }, [x, y]) {
  const det = a * e - b * d;
  return [(e * (x - c) - b * (y - f)) / det, (a * (y - f) - d * (x - c)) / det];
}
