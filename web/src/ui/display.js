/** How the picture and the outlines are shown: opacity, labels, swipe, bands, stretch, gamma. */

import { api } from "../api.js";
import { choice } from "../dialogs/dialog.js";
import { live } from "../live.js";
import { h, icon } from "../markup.js";
import { debounce } from "../signal.js";
import { lasting } from "../window.js";
import { Slider } from "./slider.js";

const STRETCHES = [
  ["auto", "Stretch: automatic"],
  ["percent", "Stretch: 2–98 %"],
  ["none", "Stretch: none"],
];
const percent = (value) => `${Math.round(value * 100)} %`;

export function createDisplayPanel(context) {
  const { project, stage, display, page } = context;
  const reload = debounce(() => stage.showTiles(project.image.value), 120);
  display.opacity.on((opacity) => lasting.set("display", { opacity }), { now: false });
  project.image.on(async (image) => {
    display.heatmaps.set([]);
    if (!image) return;
    const found = await api.heatmaps(image.id).catch(() => []);
    if (project.image.value === image)
      display.heatmaps.set(found.map((layer) => ({ ...layer, shown: false, opacity: 0.8 })));
  });
  const change = (part) => {
    display.tiles.set({ ...display.tiles.value, ...part });
    reload();
  };
  return () => h(Panel, { ...context, open: page.displayOpen, change });
}

const Panel = live(({ open, ...more }) =>
  h(
    "div.float.display",
    { class: open.value ? "open" : "" },
    h(
      "div.head",
      h("span", { hidden: !open.value }, "Display"),
      h(
        "button.tool.left",
        {
          "aria-label": "Display",
          "aria-expanded": open.value,
          dataset: { tip: "Display: opacity, bands, swipe" },
          onclick: () => open.set(!open.value),
        },
        icon("layers"),
      ),
    ),
    h(
      "div.body.stack",
      { hidden: !open.value },
      open.value && [h(Outlines, more), h(Picture, more), h(Heatmaps, more)],
    ),
  ),
);

const Outlines = live(({ display, keys }) => {
  const box = (checked, change) => ({ type: "checkbox", checked, onchange: ({ target }) => change(target.checked) });
  return [
    h(Slider, {
      label: "Outlines",
      ...{ max: 1, step: 0.05, value: display.opacity.value, show: percent, change: display.opacity.set },
    }),
    h("label.check", h("input", box(display.labels.value, display.labels.set)), "Class names on the map"),
    h(
      "label.check",
      h(
        "input",
        box(display.swipe.value !== null, (on) => display.swipe.set(on ? 0.5 : null)),
      ),
      "Swipe: picture without outlines",
      h("kbd", keys.keysOf("swipe")[0]?.toUpperCase() ?? ""),
    ),
  ];
});

const Picture = live(({ project, display, change }) => {
  const image = project.image.value;
  if (!image) return null;
  const { gamma = 1, stretch = "auto" } = display.tiles.value;
  const picked = (value, usual) => (value === usual ? undefined : value);
  return [
    h(Slider, {
      label: "Gamma",
      ...{ min: 0.4, max: 2.5, step: 0.05, value: gamma, show: (value) => value.toFixed(2) },
      change: (value) => change({ gamma: picked(value, 1) }),
    }),
    choice(STRETCHES, {
      class: "small grow",
      "aria-label": "Stretch",
      value: stretch,
      onchange: ({ target }) => change({ stretch: picked(target.value, "auto") }),
    }),
    (image.bands.length > 3 || image.bands.length === 2) && bandPicker(image, display, change),
  ];
});

function bandPicker(image, display, change) {
  const known = display.tiles.value.bands ?? image.default_bands;
  const bands = [0, 1, 2].map((at) => known[at] ?? known[0]);
  const names = image.bands.map((band) => [band.index, `${band.index} ${band.name ?? ""}`]);
  return h(
    "div.stack.bands",
    h("span.muted", "Bands shown as red, green, blue; clicks see them too"),
    h(
      "div.row",
      ["Red", "Green", "Blue"].map((channel, at) =>
        choice(names, {
          class: "small grow",
          "aria-label": `${channel} shows band`,
          title: `${channel} shows band`,
          value: bands[at],
          onchange: ({ target }) => change({ bands: bands.with(at, Number(target.value)) }),
        }),
      ),
    ),
  );
}

const Heatmaps = live(({ display }) => {
  const layers = display.heatmaps.value;
  const several = new Set(layers.map((layer) => layer.file)).size > 1;
  const change = (id, part) =>
    display.heatmaps.set(display.heatmaps.value.map((layer) => (layer.id === id ? { ...layer, ...part } : layer)));
  return h(
    "div.stack.layers",
    layers.length > 0 && h("span.muted", "Where the map model saw a class: blue no, red yes"),
    layers.map(({ id, name, file, shown, opacity }) => [
      h(
        "label.check",
        { dataset: { layer: id } },
        h("input", {
          type: "checkbox",
          checked: shown,
          onchange: ({ target }) => change(id, { shown: target.checked }),
        }),
        h("span.ellipsis", { title: file }, several ? `${name} (${file})` : name),
      ),
      shown &&
        h(Slider, {
          label: `Opacity of ${name}`,
          ...{ max: 1, step: 0.05, value: opacity, show: percent },
          change: (value) => change(id, { opacity: value }),
        }),
    ]),
  );
});

const SWIPE = [0.02, 0.98];
const STEP = 0.05;

/** Clip the outlines to the right of a handle that is dragged over the map, or moved by arrow keys. */
export const Swipe = live(({ stage: { element }, display }) => {
  const at = display.swipe.value;
  const put = (part) => display.swipe.set(Math.min(SWIPE[1], Math.max(SWIPE[0], part)));
  element.classList.toggle("swiping", at !== null);
  if (at !== null) element.style.setProperty("--swipe", `${at * 100}%`);
  if (at === null) return null;
  return h("div.swipe-handle", {
    style: { "--swipe": `${at * 100}%` },
    ...{ role: "slider", tabIndex: 0, "aria-label": "Swipe" },
    ...{ "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(at * 100) },
    onpointerdown: (event) => event.currentTarget.setPointerCapture(event.pointerId),
    onpointermove(event) {
      if (!event.currentTarget.hasPointerCapture(event.pointerId)) return;
      const box = element.getBoundingClientRect();
      put((event.clientX - box.left) / box.width);
    },
    onkeydown(event) {
      const step = { ArrowRight: STEP, ArrowLeft: -STEP }[event.key];
      if (!step) return;
      event.preventDefault();
      put(at + step);
    },
  });
});
