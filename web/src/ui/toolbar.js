/** The one toolbar: which image, which tool, what a click means, undo and redo, in and out. */

import { fill, h, icon } from "../dom.js";

export function createToolbar({ project, tools, actions, keys, history, dialogs, undo, redo }) {
  const button = (name, label, act, run, extra = {}) =>
    h(
      "button.tool",
      { onclick: run, "aria-label": label, dataset: { tip: keys.titled(label, act), act }, ...extra },
      icon(name),
    );

  // --- images ---
  const pick = h("select.small", { "aria-label": "Image", onchange: () => project.showImage(pick.value) });
  const place = h("button.button.quiet.small.count", {
    onclick: () => dialogs.images(),
    title: keys.titled("All images: search, filter, mark as done", "images"),
    "aria-label": "All images",
  });
  const pictures = h(
    "div.pictures",
    button("previous", "Previous image", "image.previous", () => actions.nextImage(-1)),
    pick,
    button("next", "Next image", "image.next", () => actions.nextImage(1)),
    place,
  );
  const drawImages = () => {
    const images = project.images.value;
    fill(
      pick,
      images.map((image) => h("option", { value: image.id }, image.name)),
    );
    pick.value = project.image.value?.id ?? "";
    place.textContent =
      images.length > 1
        ? `${images.findIndex((image) => image.id === project.image.value?.id) + 1} of ${images.length}`
        : "";
    for (const arrow of pictures.querySelectorAll("button")) arrow.hidden = images.length < 2;
    pick.options[pick.selectedIndex]?.setAttribute("title", project.image.value?.name ?? "");
  };
  project.images.on(drawImages);
  project.image.on(drawImages);

  // --- tools ---
  const toolButtons = tools.list.map((tool) =>
    h(
      "button.tool",
      {
        onclick: () => tools.use(tool.id),
        "aria-label": tool.label,
        "aria-pressed": "false",
        dataset: { tip: keys.titled(tool.label, `tool.${tool.id}`), tool: tool.id },
      },
      icon(tool.icon),
    ),
  );
  tools.current.on((current) =>
    toolButtons.forEach((element) =>
      element.setAttribute("aria-pressed", String(element.dataset.tool === current?.id)),
    ),
  );
  const merge = button("merge", "Combine", "merge", () => actions.merge());
  toolButtons.splice(tools.list.findIndex(({ id }) => id === "split") + 1, 0, merge);
  project.selection.on((chosen) => (merge.disabled = chosen.size < 2));

  // --- target ---
  const targets = [
    ["object", "object", "This object"],
    ["class", "alike", "Everything like it"],
  ].map(([target, name, label]) =>
    h(
      "button",
      { onclick: () => project.target.set(target), title: keys.titled(label, "target"), dataset: { target } },
      icon(name, 16),
      h("span", label),
    ),
  );
  project.target.on((target) =>
    targets.forEach((element) => element.setAttribute("aria-pressed", String(element.dataset.target === target))),
  );

  // --- undo and redo ---
  const back = button("undo", "Undo", "undo", undo, { class: "left" });
  const again = button("redo", "Redo", "redo", redo, { class: "left" });
  const drawHistory = () => {
    const { undo: last, redo: next } = history.state.value;
    back.disabled = !last;
    again.disabled = !next;
    back.dataset.tip = keys.titled(`Undo${last ? `: ${last}` : ""}`, "undo");
    again.dataset.tip = keys.titled(`Redo${next ? `: ${next}` : ""}`, "redo");
  };
  history.state.on(drawHistory);

  keys.own.on(
    () => {
      for (const element of document.querySelectorAll("[data-act]"))
        element.dataset.tip = keys.titled(element.getAttribute("aria-label"), element.dataset.act);
      for (const element of toolButtons)
        if (element.dataset.tool)
          element.dataset.tip = keys.titled(element.getAttribute("aria-label"), `tool.${element.dataset.tool}`);
    },
    { now: false },
  );

  return h(
    "header.bar",
    h("div.brand", h("img", { src: "static/icon.svg", alt: "" }), h("h1", "TerraClick")),
    h("span.divider"),
    pictures,
    h("span.divider"),
    h("div.group", { role: "toolbar", "aria-label": "Tools" }, toolButtons),
    h("span.divider"),
    h("div.segments.target", { role: "group", "aria-label": "What a click means" }, targets),
    h("span.spacer"),
    h("div.group", back, again),
    h("span.divider"),
    h(
      "div.group",
      button("import", "Import polygons", "import", dialogs.import, { class: "left" }),
      button("export", "Export", "export", dialogs.export, { class: "left" }),
      button("panel", "Show or hide the panel", "panel", () => keys.run("panel"), { class: "left" }),
      button("help", "Help: guide and keys", "help", dialogs.keys, { class: "left" }),
    ),
  );
}
