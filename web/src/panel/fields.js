/** One control for each attribute column of a class. */

import { h } from "../dom.js";

/** [label, control, …] for a schema; `save(name, value)` gets a string, number, boolean or null. */
export function attributeFields(schema = {}, values = {}, save) {
  return Object.entries(schema ?? {}).map(([name, column]) => [
    h("label", name),
    control(name, column, values[name], (value) => save(name, value)),
  ]);
}

function control(name, { type, values }, value, save) {
  const typed = (text) => (text === "" ? null : type === "number" ? Number(text) : text);
  if (type === "boolean")
    return h("input", {
      type: "checkbox",
      "aria-label": name,
      checked: Boolean(value),
      onchange: (event) => save(event.target.checked),
    });
  if (values?.length)
    return h(
      "select.small",
      { "aria-label": name, onchange: (event) => save(typed(event.target.value)) },
      h("option", { value: "" }, "–"),
      values.map((entry) => h("option", { value: entry, selected: entry === value }, String(entry))),
    );
  return h("input.small", {
    "aria-label": name,
    type: type === "number" ? "number" : "text",
    step: "any",
    maxLength: 400,
    value: value ?? "",
    onchange: (event) => save(typed(event.target.value)),
  });
}
