/** Go to a place: pixels, coordinates of the image, or longitude and latitude as the server turns them. */

import { api } from "../api.js";
import { bound } from "../live.js";
import { h } from "../markup.js";
import { lonLatOf, pairOf, toPixels } from "../places.js";
import { signal } from "../signal.js";
import { choice, field, openDialog } from "./dialog.js";

/** In what a place can be given: words, an example, what reads it, and how it gets to pixels. */
const SYSTEMS = {
  crs: {
    words: (image) => `Coordinates of the image (${image.crs_name ?? image.crs})`,
    example: "500120.5, 4649880.2",
    read: pairOf,
    pixels: async (image, place) => toPixels(image, place),
  },
  lonlat: {
    words: () => "Longitude, latitude (WGS 84)",
    example: "16.37208, 48.20849 or 48.20849 N 16.37208 E",
    read: lonLatOf,
    async pixels(image, [lon, lat]) {
      const { x, y } = await api.place(image.id, { lon, lat });
      return [x, y];
    },
  },
  pixels: {
    words: () => "Pixels: column, row",
    example: "1200, 640",
    read: pairOf,
    pixels: async (image, place) => place,
  },
};

export function gotoDialog({ project, stage, toast }) {
  const image = project.image.value;
  if (!image) return;
  const known = Object.entries(SYSTEMS).filter(([name]) => image.crs || name === "pixels");
  const form = signal({ place: "", system: known[0][0] });
  const wrong = signal("");
  const advice =
    "Two numbers, x first, with a comma or a space between. Letters such as N and E may say which is which.";

  async function submit() {
    const { read, pixels, example } = SYSTEMS[form.value.system];
    const numbers = read(form.value.place);
    const say = (text) => (wrong.set(text), false);
    if (!numbers) return say(`Give two numbers, such as ${example}.`);
    try {
      const [x, y] = await pixels(image, numbers);
      if (!(x >= 0 && y >= 0 && x <= image.width && y <= image.height))
        return say("That place lies outside the image.");
      const half = Math.min(image.width, image.height, 400) / 2;
      stage.fit([x - half, -y - half, x + half, -y + half], { padding: 0 });
      stage.ping([x, -y]);
    } catch (error) {
      return say(error.message);
    }
    toast.note(`Here: ${form.value.place.trim()}.`);
    return true;
  }

  openDialog({
    title: "Go to coordinates",
    content: () => [
      field(
        "Place",
        h("input", {
          type: "text",
          placeholder: SYSTEMS[form.value.system].example,
          "aria-label": "Coordinates",
          ...bound(form, "place"),
        }),
        advice,
      ),
      field(
        "Given in",
        choice(
          known.map(([value, { words }]) => [value, words(image)]),
          { "aria-label": "Given in", ...bound(form, "system") },
        ),
      ),
      h("p.wrong", { role: "alert", hidden: !wrong.value }, wrong.value),
    ],
    main: () => ["Go there"],
    submit,
  });
}
