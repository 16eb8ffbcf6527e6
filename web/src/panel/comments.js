/** What reviewers say of an object: kept among its attributes, so that every export has it as a column. */

import { h } from "../dom.js";

export const COMMENT = "comment";

export const commentOf = ({ attributes }) => String(attributes?.[COMMENT] ?? "").trim();

/** [label, field] for the comment on an object; nothing where its class has a column of that name. */
export function commentField({ attributes }, schema, save) {
  if (schema[COMMENT]) return [];
  const field = h("textarea.small", {
    rows: 2,
    maxLength: 2000,
    value: commentOf({ attributes }),
    placeholder: "What is to be done, or why it was rejected",
    "aria-label": "Comment on the object",
    onchange: () => save({ attributes: { [COMMENT]: field.value.trim() || null } }, "the comment"),
  });
  return [h("label", "Comment"), field];
}
