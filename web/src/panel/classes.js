/** The classes: pick the one in the hand, edit colour, key, kind and attribute columns. */

import { fill, h, icon } from "../dom.js";

const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

export function classesPage({ project, dialogs, display }) {
  /** A button that hides or locks a class; pressed while it is so. */
  const toggle = (of, name, [on, off], [words, back]) => {
    const pressed = of.value.has(name);
    const label = `${pressed ? back : words} ${name || "objects without a class"}`;
    return h(
      "button.tool.switch",
      {
        "aria-label": label,
        title: label,
        "aria-pressed": String(pressed),
        onclick: (event) => {
          event.stopPropagation();
          const next = new Set(of.value);
          if (!next.delete(name)) next.add(name);
          of.set(next);
        },
      },
      icon(pressed ? on : off, 15),
    );
  };
  const switches = (name) =>
    h(
      "span.row.switches",
      toggle(display.hidden, name, ["hidden", "eye"], ["Hide", "Show"]),
      toggle(display.locked, name, ["lock", "unlock"], ["Lock", "Unlock"]),
    );
  const list = h("div.list");
  const draw = () => {
    const counts = new Map();
    for (const { properties } of project.objects.value.values())
      counts.set(properties.class, (counts.get(properties.class) ?? 0) + 1);
    const rows = project.classes.value.map((item) =>
      h(
        "div.class-row",
        {
          class: item.name === project.className.value ? "active" : "",
          onclick: () => project.className.set(item.name),
          ondblclick: () => dialogs.editClass(item),
          dataset: { class: item.name },
        },
        h("span.swatch", { style: { "--colour": item.colour, width: "16px", height: "16px" } }),
        h(
          "button.class-name.ellipsis",
          { "aria-pressed": String(item.name === project.className.value) },
          h("b", { style: { fontWeight: 550 } }, item.name),
          " ",
          h(
            "span.muted",
            [
              item.kind === "coverage" && "coverage",
              Object.keys(item.schema ?? {}).length && plural(Object.keys(item.schema).length, "column"),
            ]
              .filter(Boolean)
              .join(" · "),
          ),
        ),
        h("span.class-count", { title: "Objects in this image" }, counts.get(item.name) ?? 0),
        item.key ? h("kbd", item.key) : h("span"),
        switches(item.name),
        h(
          "button.tool",
          {
            "aria-label": `Edit ${item.name}`,
            title: "Edit",
            onclick: (event) => (event.stopPropagation(), dialogs.editClass(item)),
          },
          icon("edit", 15),
        ),
      ),
    );
    fill(
      list,
      rows.length
        ? rows
        : h(
            "div.empty",
            icon("layers", 28),
            h("b", "No classes yet"),
            "A class gives objects a name, a colour, a key and columns of their own.",
          ),
    );
  };
  for (const value of [project.classes, project.className, project.objects, display.hidden, display.locked])
    value.on(draw);
  return {
    id: "classes",
    title: "Classes",
    count: () => project.classes.value.length,
    element: h(
      "div.page",
      list,
      h(
        "div.tools",
        { style: { borderTop: "1px solid var(--line)", borderBottom: 0 } },
        h("button.button", { onclick: () => dialogs.editClass() }, icon("plus", 15), "New class"),
      ),
    ),
  };
}
