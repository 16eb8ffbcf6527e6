/** What floats on the map: advice for the tool in the hand, where the cursor is, scale, zoom buttons, progress. */

import { pretty } from "../keys.js";
import { live } from "../live.js";
import { h, icon } from "../markup.js";
import { derived, signal } from "../signal.js";

const OF_PROPOSALS = [
  ["yes", "keep"],
  ["no", "refuse"],
  ["clear", "stop"],
];
const WAIT_MS = 250;

export const createOverlay = (context) => {
  const busy = settled(derived(() => busyWith(context)));
  return () => [h(Advice, context), h(Where, context), h(Corner, context), h(Busy, { busy })];
};

const Advice = live(({ project, tools, clicking, actions, keys }) => {
  const tool = tools.current.value;
  const lines = actions.proposals.value ? OF_PROPOSALS : (tool?.advice() ?? []);
  const asked = !actions.proposals.value && tool?.questions && clicking.openOutline.value?.hint && clicking.begun();
  const all = asked ? [...lines, ["yes no", "is the ? part of it"]] : lines;
  return h(
    "div.float.advice",
    { hidden: !lines.length || !project.image.value },
    all.map(([command, text]) => {
      if (command === "include" || command === "exclude") return h("span", { class: command }, text);
      const pressed = command.split(" ").map((id) => keys.keysOf(id)[0]);
      return h(
        "span",
        pressed.filter(Boolean).map((key) => [h("kbd", pretty(key)), " "]),
        text,
      );
    }),
  );
});

const Where = live(({ project, stage }) => {
  const image = project.image.value;
  if (!image) return h("div.float.where", { hidden: true });
  const place = stage.cursor.value;
  const { width, text } = scaleBar(stage.resolution.value, image.gsd);
  return h(
    "div.float.where",
    h("span.scale", h("span", text), h("i", { style: { width: `${width}px` } })),
    h("span", place && stage.isOnImage(place) ? coordinates(image, place) : (image.crs_name ?? "pixels")),
    h(Notes, { key: image.id, notes: image.notes ?? [] }),
  );
});

const Notes = live(({ notes }) =>
  h(
    "details.notes",
    { hidden: !notes.length },
    h("summary", notes.length === 1 ? "1 note" : `${notes.length} notes`),
    notes.map((note) => h("p", note[0]?.toUpperCase() + note.slice(1))),
  ),
);

/** A bar of about 90 screen pixels: how wide, and how long that is in round metres, or pixels of the image. */
export function scaleBar(resolution, gsd) {
  const unit = gsd ?? 1;
  const wanted = 90 * resolution * unit;
  const power = 10 ** Math.floor(Math.log10(wanted));
  const round = [5, 2, 1].find((step) => step * power <= wanted) * power;
  const text = gsd ? (round >= 1000 ? `${round / 1000} km` : `${round} m`) : `${round} px`;
  return { width: round / (resolution * unit), text };
}

function coordinates(image, [x, up]) {
  const y = -up;
  const pixel = `${Math.floor(x)}, ${Math.floor(y)} px`;
  if (!image.crs) return pixel;
  const [a, b, c, d, e, f] = image.transform;
  const degrees = Math.abs(a) + Math.abs(b) < 0.01;
  const digits = degrees ? 6 : Math.abs(a) + Math.abs(b) < 2 ? 1 : 0;
  return `${(a * x + b * y + c).toFixed(digits)}, ${(d * x + e * y + f).toFixed(digits)}  ·  ${image.crs}`;
}

const ZOOMS = [
  ["plus", "Zoom in", "zoom.in"],
  ["minus", "Zoom out", "zoom.out"],
  ["fit", "Whole image", "fit"],
];

const Corner = live(({ keys }) =>
  h(
    "div.float.corner",
    ZOOMS.map(([name, label, command]) =>
      h(
        "button.tool.left",
        { onclick: () => keys.run(command), "aria-label": label, title: keys.titled(label, command) },
        icon(name, 17),
      ),
    ),
  ),
);

function busyWith({ encoding, clicking, project }) {
  const at = encoding.value;
  if (at) return { text: "Looking at this part of the image", part: at.total < 2 ? null : at.done / at.total };
  if (clicking.busy.value) return { text: "Outlining", part: null };
  return project.loading.value ? { text: "Loading objects", part: null } : null;
}

/** What lasts: work that is over soon is not told of. */
function settled(work) {
  const told = signal(null);
  let timer = 0;
  work.on(() => {
    clearTimeout(timer);
    timer = 0;
    if (!work.value || told.value) told.set(work.value);
    else timer = setTimeout(() => told.set(work.value), WAIT_MS);
  });
  return told;
}

const Busy = live(({ busy }) => {
  const { text, part = null } = busy.value ?? {};
  return h(
    "div.float.busy",
    { hidden: !text },
    h("span.spinner"),
    h("span", text),
    h("progress", { max: 1, value: part ?? 0, hidden: part === null }),
  );
});
