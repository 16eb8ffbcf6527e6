/** The one toolbar: which image, which tool, what a click means, undo and redo, in and out. */

import { live } from "../live.js";
import { h, icon } from "../markup.js";

const TARGETS = [
  ["object", "object", "This object"],
  ["class", "alike", "Everything like it"],
];

export const Toolbar = (context) => {
  const { keys, dialogs } = context;
  return h(
    "header.bar",
    h("div.brand", h("img", { src: "static/icon.svg", alt: "" }), h("h1", "TerraClick")),
    h("span.divider"),
    h(Images, context),
    h("span.divider"),
    h(Tools, context),
    h("span.divider"),
    h(Targets, context),
    h("span.spacer"),
    h(Turns, context),
    h("span.divider"),
    h(
      "div.group",
      h(Button, { keys, name: "import", label: "Import polygons", run: () => dialogs.import() }),
      h(Button, { keys, name: "export", label: "Export", run: dialogs.export }),
      h(Button, { keys, name: "panel", label: "Show or hide the panel", run: () => keys.run("panel") }),
      h(Button, { keys, name: "help", label: "Help: guide and keys", run: dialogs.keys }),
    ),
  );
};

/** A button with an icon that says its key; `command` is what has the key, where that is not the name of the icon. */
const Button = live(({ keys, name, command = name, label, tip = label, run, left = true, disabled = false }) =>
  h(
    "button.tool",
    {
      class: left ? "left" : "",
      onclick: run,
      "aria-label": label,
      dataset: { tip: keys.titled(tip, command), command },
      disabled,
    },
    icon(name),
  ),
);

const Images = live(({ project, actions, keys, dialogs }) => {
  const images = project.images.value;
  const id = project.image.value?.id ?? "";
  const several = images.length > 1;
  const step = (name, label, by) =>
    several &&
    h(Button, { keys, name, command: `image.${name}`, label, run: () => actions.nextImage(by), left: false });
  return h(
    "div.pictures",
    step("previous", "Previous image", -1),
    h(
      "select.small",
      {
        "aria-label": "Image",
        title: project.image.value?.name,
        value: id,
        onchange: ({ target }) => project.showImage(target.value),
      },
      images.map((image) => h("option", { key: image.id, value: image.id }, image.name)),
    ),
    step("next", "Next image", 1),
    several &&
      h(
        "button.button.quiet.small.count",
        {
          onclick: () => dialogs.images(),
          title: keys.titled("All images: search, filter, mark as done", "images"),
          "aria-label": "All images",
        },
        `${images.findIndex((image) => image.id === id) + 1} of ${images.length}`,
      ),
  );
});

const Tools = live(({ tools, project, actions, keys }) => {
  const combine = () =>
    h(Button, {
      ...{ keys, name: "merge", label: "Combine", run: actions.merge, left: false },
      disabled: project.selection.value.size < 2,
    });
  return h(
    "div.group",
    { role: "toolbar", "aria-label": "Tools" },
    tools.list.map(({ id, label, icon: lines }) => [
      h(
        "button.tool",
        {
          onclick: () => tools.use(id),
          "aria-label": label,
          "aria-pressed": tools.is(id),
          dataset: { tip: keys.titled(label, `tool.${id}`), tool: id },
        },
        icon(lines),
      ),
      id === "split" && combine(),
    ]),
  );
});

const Targets = live(({ project, keys }) =>
  h(
    "div.segments.target",
    { role: "group", "aria-label": "What a click means" },
    TARGETS.map(([target, name, label]) =>
      h(
        "button",
        {
          onclick: () => project.target.set(target),
          title: keys.titled(label, "target"),
          "aria-pressed": project.target.value === target,
          dataset: { target },
        },
        icon(name, 16),
        h("span", label),
      ),
    ),
  ),
);

const Turns = live(({ history, keys, undo, redo }) => {
  const { undo: last, redo: next } = history.state.value;
  const turn = (name, label, run, what) =>
    h(Button, { keys, name, label, run, tip: what ? `${label}: ${what}` : label, disabled: !what });
  return h("div.group", turn("undo", "Undo", undo, last), turn("redo", "Redo", redo, next));
});
