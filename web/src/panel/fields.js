/** One control for each attribute column of a class, and one for the comment. */

import { h } from "../markup.js";
import { COMMENT, commentOf } from "./listing.js";

/** A field that is typed into freely, and drawn anew only when what is stored is another value. */
export const stored = (tag, value, props) => h(tag, { key: String(value), defaultValue: value, ...props });

/** [label, control, …] for a schema; `save(name, value)` gets a string, number, boolean or null. */
export const attributeFields = (schema, values, save) =>
  Object.entries(schema ?? {}).map(([name, column]) => [
    h("label", name),
    control(name, column, values?.[name], (value) => save(name, value)),
  ]);

function control(name, { type, values }, value, save) {
  const typed = ({ target }) =>
    save(target.value === "" ? null : type === "number" ? Number(target.value) : target.value);
  if (type === "boolean")
    return h("input", {
      type: "checkbox",
      "aria-label": name,
      checked: Boolean(value),
      onchange: ({ target }) => save(target.checked),
    });
  if (values?.length)
    return h(
      "select.small",
      { "aria-label": name, value: value ?? "", onchange: typed },
      h("option", { value: "" }, "–"),
      values.map((entry) => h("option", { value: entry }, String(entry))),
    );
  const kind = type === "number" ? "number" : "text";
  return stored("input.small", value ?? "", {
    "aria-label": name,
    type: kind,
    step: "any",
    maxLength: 400,
    onchange: typed,
  });
}

/** [label, field] for the comment on an object; nothing where its class has a column of that name. */
export const commentField = (properties, schema, save) =>
  schema[COMMENT]
    ? []
    : [
        h("label", "Comment"),
        stored("textarea.small", commentOf(properties), {
          rows: 2,
          maxLength: 2000,
          placeholder: "What is to be done, or why it was rejected",
          "aria-label": "Comment on the object",
          onchange: ({ target }) => save({ attributes: { [COMMENT]: target.value.trim() || null } }, "the comment"),
        }),
      ];
