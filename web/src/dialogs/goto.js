/** Go to a place: pixels, coordinates of the image, or longitude and latitude as the server turns them. */

import { api } from "../api.js";
import { h } from "../dom.js";
import { lonLatOf, pairOf, toPixels } from "../places.js";
import { field, openDialog } from "./dialog.js";

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
  const system = h(
    "select",
    { "aria-label": "Given in", onchange: () => (place.placeholder = SYSTEMS[system.value].example) },
    known.map(([value, { words }]) => h("option", { value }, words(image))),
  );
  const place = h("input", {
    type: "text",
    placeholder: known[0][1].example,
    autofocus: true,
    "aria-label": "Coordinates",
  });
  const wrong = h("p.wrong", { role: "alert", hidden: true });
  const say = (text) => ((wrong.textContent = text), (wrong.hidden = false), false);
  async function submit() {
    const { read, pixels, example } = SYSTEMS[system.value];
    const numbers = read(place.value);
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
    toast.note(`Here: ${place.value.trim()}.`);
    return true;
  }
  openDialog(
    "Go to coordinates",
    [
      field(
        "Place",
        place,
        "Two numbers, x first, with a comma or a space between. Letters such as N and E may say which is which.",
      ),
      field("Given in", system),
      wrong,
    ],
    [h("button.button.primary", "Go there")],
    { submit },
  );
  place.focus();
}
