/** How the picture and the outlines are shown: opacity, labels, swipe, bands, stretch, gamma. */

import { fill, h, icon } from "../dom.js";
import { api } from "../api.js";
import { debounce, signal } from "../signal.js";

export function createDisplay() {
  const kept = read();
  return {
    opacity: signal(kept.opacity ?? 0.6),
    labels: signal(false),
    /** Classes that are not drawn, and those that tools leave alone; "" is no class. */
    hidden: signal(new Set()),
    locked: signal(new Set()),
    swipe: signal(null),
    peeking: signal(false),
    /** uuid of the object that is open for more clicks: its outline is drawn instead of it. */
    opened: signal(null),
    /** {bands, stretch, rescale, gamma} as the tile route takes them; undefined where the server chooses. */
    tiles: signal({}),
    /** Heatmaps of the shown image, [{id, name, file, version, shown, opacity}]; beneath the outlines where shown. */
    layers: signal([]),
  };
}

function read() {
  try {
    return JSON.parse(localStorage.getItem("terraclick.display") ?? "{}");
  } catch {
    return {};
  }
}

export function slider(label, { min, max, step, value, show = String, onchange }) {
  const text = h("output", show(value));
  const input = h("input", {
    type: "range",
    min,
    max,
    step,
    value,
    "aria-label": label,
    oninput: () => ((text.textContent = show(Number(input.value))), onchange(Number(input.value))),
  });
  const element = h("label.slider", h("span", label), text, input);
  element.set = (next) => ((input.value = next), (text.textContent = show(next)));
  return element;
}

export function displayPanel({ project, stage, display, keys }) {
  const body = h("div.body.stack", { hidden: true });
  const title = h("span", { hidden: true }, "Display");
  const toggle = h(
    "button.tool.left",
    { "aria-label": "Display", "aria-expanded": "false", dataset: { tip: "Display: opacity, bands, swipe" } },
    icon("layers"),
  );
  const panel = h("div.float.display", h("div.head", title, toggle), body);
  toggle.addEventListener("click", () => {
    const open = panel.classList.toggle("open");
    body.hidden = title.hidden = !open;
    toggle.setAttribute("aria-expanded", String(open));
  });

  const reload = debounce(() => stage.showTiles(project.image.value), 120);
  const change = (part) => {
    display.tiles.set({ ...display.tiles.value, ...part });
    reload();
  };

  const opacity = slider("Outlines", {
    min: 0,
    max: 1,
    step: 0.05,
    value: display.opacity.value,
    show: (value) => `${Math.round(value * 100)} %`,
    onchange(value) {
      display.opacity.set(value);
      try {
        localStorage.setItem("terraclick.display", JSON.stringify({ opacity: value }));
      } catch {
        // kept for this page only
      }
    },
  });
  const swipe = h("input", { type: "checkbox", onchange: () => display.swipe.set(swipe.checked ? 0.5 : null) });
  display.swipe.on((at) => (swipe.checked = at !== null));
  const labels = h("input", { type: "checkbox", onchange: () => display.labels.set(labels.checked) });

  function picture() {
    const image = project.image.value;
    if (!image) return [];
    const { gamma = 1, stretch = "auto" } = display.tiles.value;
    const gammaSlider = slider("Gamma", {
      min: 0.4,
      max: 2.5,
      step: 0.05,
      value: gamma,
      show: (value) => value.toFixed(2),
      onchange: (value) => change({ gamma: value === 1 ? undefined : value }),
    });
    const how = h(
      "select.small.grow",
      { "aria-label": "Stretch", onchange: () => change({ stretch: how.value === "auto" ? undefined : how.value }) },
      [
        ["auto", "Stretch: automatic"],
        ["percent", "Stretch: 2–98 %"],
        ["none", "Stretch: none"],
      ].map(([value, text]) => h("option", { value, selected: value === stretch }, text)),
    );
    return [gammaSlider, how, image.bands.length > 3 || image.bands.length === 2 ? bandPicker(image) : null];
  }

  function bandPicker(image) {
    const current = display.tiles.value.bands ?? image.default_bands;
    const picks = ["Red", "Green", "Blue"].map((channel, i) =>
      h(
        "select.small.grow",
        {
          "aria-label": `${channel} shows band`,
          title: `${channel} shows band`,
          onchange: () => change({ bands: picks.map((pick) => Number(pick.value)) }),
        },
        image.bands.map((band) =>
          h(
            "option",
            { value: band.index, selected: band.index === (current[i] ?? current[0]) },
            `${band.index} ${band.name ?? ""}`,
          ),
        ),
      ),
    );
    return h(
      "div.stack",
      { style: { gap: "4px" } },
      h("span.muted", "Bands shown as red, green, blue; clicks see them too"),
      h("div.row", picks),
    );
  }

  const changeLayer = (id, part) =>
    display.layers.update((all) => all.map((layer) => (layer.id === id ? { ...layer, ...part } : layer)));
  const heatmaps = h("div.stack.layers", { style: { gap: "6px" } });
  function listLayers(layers) {
    const files = new Set(layers.map((layer) => layer.file));
    const rows = layers.map(({ id, name, file, shown, opacity: strength }) => {
      const how = slider(`Opacity of ${name}`, {
        min: 0,
        max: 1,
        step: 0.05,
        value: strength,
        show: (value) => `${Math.round(value * 100)} %`,
        onchange: (value) => changeLayer(id, { opacity: value }),
      });
      how.hidden = !shown;
      const on = h("input", {
        type: "checkbox",
        checked: shown,
        onchange: () => (changeLayer(id, { shown: on.checked }), (how.hidden = !on.checked)),
      });
      return [
        h(
          "label.check",
          { dataset: { layer: id } },
          on,
          h("span.ellipsis", { title: file }, files.size > 1 ? `${name} (${file})` : name),
        ),
        how,
      ];
    });
    fill(heatmaps, rows.length ? [h("span.muted", "Where the map model saw a class: blue no, red yes"), rows] : []);
  }
  async function findLayers(image) {
    display.layers.set([]);
    listLayers([]);
    if (!image) return;
    const found = await api.layers(image.id).catch(() => []);
    if (project.image.value !== image) return;
    display.layers.set(found.map((layer) => ({ ...layer, shown: false, opacity: 0.8 })));
    listLayers(display.layers.value);
  }

  const draw = () =>
    fill(
      body,
      opacity,
      h("label.check", labels, "Class names on the map"),
      h(
        "label.check",
        swipe,
        "Swipe: picture without outlines",
        h("kbd", keys.keysOf("swipe")[0]?.toUpperCase() ?? ""),
      ),
      picture(),
      heatmaps,
    );
  project.image.on((image) => {
    draw(); // what each image is shown with is kept in main.js
    findLayers(image);
  });
  return panel;
}

/** Clip the outlines to the right of a handle that is dragged over the map. */
export function createSwipe({ stage, display }) {
  const handle = h("div.swipe-handle", { hidden: true, role: "slider", "aria-label": "Swipe" });
  stage.element.append(handle);
  const place = () => {
    const at = display.swipe.value;
    handle.hidden = at === null;
    stage.element.classList.toggle("swiping", at !== null);
    if (at !== null) stage.element.style.setProperty("--swipe", `${at * 100}%`);
  };
  handle.addEventListener("pointerdown", (event) => {
    handle.setPointerCapture(event.pointerId);
    event.stopPropagation();
  });
  handle.addEventListener("pointermove", (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    event.stopPropagation();
    const box = stage.element.getBoundingClientRect();
    display.swipe.set(Math.min(0.98, Math.max(0.02, (event.clientX - box.left) / box.width)));
  });
  display.swipe.on(place);
}
