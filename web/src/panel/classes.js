/** The classes: pick the one in the hand, edit colour, key, kind and attribute columns. */

import { fill, h, icon } from "../dom.js";

const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

export function classesPage({ project, dialogs }) {
  const list = h("div.list");
  const draw = () => {
    const counts = new Map();
    for (const { properties } of project.objects.value.values()) counts.set(properties.class, (counts.get(properties.class) ?? 0) + 1);
    const rows = project.classes.value.map((item) =>
      h(
        "div.class-row",
        { class: item.name === project.className.value ? "active" : "", onclick: () => project.className.set(item.name), ondblclick: () => dialogs.editClass(item), dataset: { class: item.name } },
        h("span.swatch", { style: { "--colour": item.colour, width: "16px", height: "16px" } }),
        h("div.ellipsis", h("b", { style: { fontWeight: 550 } }, item.name), " ", h("span.muted", [item.kind === "coverage" && "coverage", Object.keys(item.schema ?? {}).length && plural(Object.keys(item.schema).length, "column")].filter(Boolean).join(" · "))),
        h("span.row.muted", h("span", { title: "Objects in this image" }, counts.get(item.name) ?? 0), item.key && h("kbd", item.key)),
        h("button.tool", { "aria-label": `Edit ${item.name}`, title: "Edit", onclick: (event) => (event.stopPropagation(), dialogs.editClass(item)) }, icon("edit", 15)),
      ),
    );
    fill(list, rows.length ? rows : h("div.empty", icon("layers", 28), h("b", "No classes yet"), "A class gives objects a name, a colour, a key and columns of their own."));
  };
  for (const value of [project.classes, project.className, project.objects]) value.on(draw);
  return {
    id: "classes",
    title: "Classes",
    count: () => project.classes.value.length,
    element: h("div.page", list, h("div.tools", { style: { borderTop: "1px solid var(--line)", borderBottom: 0 } }, h("button.button", { onclick: () => dialogs.editClass() }, icon("plus", 15), "New class"))),
  };
}
