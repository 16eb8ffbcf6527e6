/** The classes: pick the one in the hand, edit colour, key, kind and attribute columns. */

import { live } from "../live.js";
import { h, icon } from "../markup.js";

export const classesPage = (context) => ({
  id: "classes",
  title: "Classes",
  count: () => context.project.classes.value.length,
  draw: () => [
    h(List, context),
    h(
      "div.tools.below",
      h("button.button", { onclick: () => context.dialogs.editClass() }, icon("plus", 15), "New class"),
    ),
  ],
});

const List = live((context) => {
  const { project } = context;
  const counts = new Map();
  for (const { properties } of project.objects.value.values())
    counts.set(properties.class, (counts.get(properties.class) ?? 0) + 1);
  const rows = project.classes.value.map((item) =>
    h(Row, { key: item.name, ...context, item, count: counts.get(item.name) ?? 0 }),
  );
  return h(
    "div.list",
    rows.length
      ? rows
      : h(
          "div.empty",
          icon("layers", 28),
          h("b", "No classes yet"),
          "A class gives objects a name, a colour, a key and columns of their own.",
        ),
  );
});

const Row = live(({ project, dialogs, display, item, count }) => {
  const { name, colour, key, kind, schema } = item;
  const held = name === project.className.value;
  const columns = Object.keys(schema ?? {}).length;
  const more = [kind === "coverage" && kind, columns && `${columns} column${columns === 1 ? "" : "s"}`];
  const edit = (event) => (event.stopPropagation(), dialogs.editClass(item));
  return h(
    "div.class-row",
    {
      class: held ? "active" : "",
      onclick: () => project.className.set(name),
      ondblclick: () => dialogs.editClass(item),
      dataset: { class: name },
    },
    h("span.swatch", { style: { "--colour": colour, width: "16px", height: "16px" } }),
    h(
      "button.class-name.ellipsis",
      { "aria-pressed": held },
      h("b", name),
      " ",
      h("span.muted", more.filter(Boolean).join(" · ")),
    ),
    h("span.class-count", { title: "Objects in this image" }, count),
    h(key ? "kbd" : "span", key),
    h(
      "span.row.switches",
      toggle(display.hidden, name, ["hidden", "eye"], ["Hide", "Show"]),
      toggle(display.locked, name, ["lock", "unlock"], ["Lock", "Unlock"]),
    ),
    h("button.tool", { "aria-label": `Edit ${name}`, title: "Edit", onclick: edit }, icon("edit", 15)),
  );
});

/** A button that hides or locks a class; pressed while it is so. */
function toggle(of, name, [on, off], [words, back]) {
  const pressed = of.value.has(name);
  const label = `${pressed ? back : words} ${name}`;
  function onclick(event) {
    event.stopPropagation();
    const next = new Set(of.value);
    if (!next.delete(name)) next.add(name);
    of.set(next);
  }
  const props = { "aria-label": label, title: label, "aria-pressed": pressed, onclick };
  return h("button.tool.switch", props, icon(pressed ? on : off, 15));
}
