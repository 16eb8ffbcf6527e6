/** What can be done to the selected objects, above the list of objects. */

import { live } from "../live.js";
import { h, icon } from "../markup.js";
import { attributeFields, commentField, stored } from "./fields.js";

export const Selected = live(({ project, actions, keys }) => {
  const chosen = project.selected();
  const [one] = chosen;
  const single = chosen.length === 1;
  if (!one) return h("div.bulk", { hidden: true });
  const button = (name, label, id, run) =>
    h("button.tool", { onclick: run, "aria-label": label, title: keys.titled(label, id) }, icon(name, 16));
  const shape = keys.titled("Simplify, or make right angles, as the sliders above say", "square");
  const parts = chosen.some(({ geometry }) => geometry?.type.startsWith("Multi"));
  return h(
    "div.bulk",
    h(
      "div.acts",
      h("b", `${chosen.length} selected`),
      single && button("click", "Go on clicking on it", "reopen", () => actions.reopen(one.id)),
      !single && button("merge", "Combine", "merge", () => actions.merge()),
      button("copy", "Copy", "copy", () => actions.copy()),
      h("button.button.small", { onclick: () => actions.reshape(), title: shape }, icon("object", 14), "Shape"),
    ),
    h(
      "div.acts",
      button("check", "Approve", "yes", () => actions.judge(true)),
      button("close", "Reject", "no", () => actions.judge(false)),
      button("star", "Use as an example", "example", () => actions.addExample(true)),
      parts && button("parts", "Separate the parts", "explode", () => actions.explode()),
      button("trash", "Delete", "delete", () => actions.remove()),
    ),
    h("div.row", changes(project, actions, chosen)),
    single && attributes(project, actions, one),
  );
});

/** Another class or state for all of them; the lists themselves go on saying what they are for. */
function changes(project, actions, chosen) {
  const pick = (label, choices, change) =>
    h(
      "select.small.grow",
      {
        "aria-label": label,
        onchange({ target }) {
          const [, value] = choices[target.selectedIndex - 1];
          target.selectedIndex = 0;
          change(value);
        },
      },
      h("option", { disabled: true, selected: true }, `${label}…`),
      choices.map(([text, value]) => h("option", { value }, text)),
    );
  const classes = project.classes.value.map(({ name }) => [name, name]);
  const states = (project.state.value?.statuses ?? []).filter((name) => name !== "conflict");
  return [
    pick("Change class", [...classes, ["No class", ""]], (name) => actions.relabel(name)),
    pick(
      "Change state",
      states.map((name) => [name, name]),
      (status) => actions.set(chosen, { status }, `mark as ${status}`),
    ),
  ];
}

/** Label and attribute columns of the one selected object. */
function attributes(project, actions, feature) {
  const p = feature.properties;
  const schema = project.classOf(p.class)?.schema ?? {};
  const save = (values, what) => actions.set([feature], values, `change ${what}`);
  return h(
    "div.attributes",
    { key: feature.id },
    h("label", "Label"),
    stored("input.small", p.label ?? "", {
      type: "text",
      maxLength: 200,
      "aria-label": "Label of the object",
      onchange: ({ target }) => save({ label: target.value }, "the label"),
    }),
    attributeFields(schema, p.attributes, (name, value) => save({ attributes: { [name]: value } }, name)),
    commentField(p, schema, save),
  );
}
