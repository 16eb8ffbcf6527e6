/** Make or change a class: name, colour, key, discrete or coverage, and the columns its objects have. */

import { bound } from "../live.js";
import { h, icon } from "../markup.js";
import { signal } from "../signal.js";
import { choice, field, openDialog } from "./dialog.js";

const COLOURS = ["#e4572e", "#3d9bf0", "#f2c14e", "#59b368", "#b06fd8", "#ef7fb0", "#2fb8ac", "#a1744f", "#8fa3bf"];
const DIGITS = [..."123456789"];
const KINDS = [
  ["discrete", "Things: may overlap, stand apart"],
  ["coverage", "Cover: neighbours share their borders"],
];
const TYPES = [
  ["string", "text"],
  ["number", "number"],
  ["boolean", "yes or no"],
];

/** The columns of a class as they are typed, [{name, type, values: "a, b"}], and back to its schema. */
export const columnsOf = (schema = {}) =>
  Object.entries(schema ?? {}).map(([name, { type, values }]) => ({ name, type, values: (values ?? []).join(", ") }));

export const schemaOf = (columns) =>
  Object.fromEntries(
    columns
      .map(({ name, type, values }) => {
        const words = values.split(",").map((value) => value.trim());
        const typed = words.filter(Boolean).map((value) => (type === "number" ? Number(value) : value));
        const usable = typed.filter((value) => type !== "number" || Number.isFinite(value));
        return [name.trim(), usable.length && type !== "boolean" ? { type, values: usable } : { type }];
      })
      .filter(([name]) => name),
  );

export function classDialog({ project, actions, toast }, item) {
  const taken = project.classes.value.filter((other) => other !== item);
  const ownerOf = (digit) => taken.find((other) => other.key === digit);
  const form = signal({
    name: item?.name ?? "",
    colour: item?.colour ?? COLOURS.find((colour) => !taken.some((other) => other.colour === colour)) ?? COLOURS[0],
    key: item ? item.key : (DIGITS.find((digit) => !ownerOf(digit)) ?? ""),
    kind: item?.kind ?? "discrete",
  });
  const columns = signal(columnsOf(item?.schema));

  const digits = DIGITS.map((digit) => [
    digit,
    ownerOf(digit) ? `${digit} (${ownerOf(digit).name})` : digit,
    Boolean(ownerOf(digit)),
  ]);
  const close = openDialog({
    title: item ? `Class ${item.name}` : "New class",
    content: () => [
      h(
        "div.row",
        h(
          "div.grow",
          field(
            "Name",
            h("input", {
              type: "text",
              required: true,
              maxLength: 100,
              placeholder: "building",
              ...bound(form, "name"),
            }),
          ),
        ),
        field("Colour", h("input", { type: "color", "aria-label": "Colour", ...bound(form, "colour") })),
        field("Key", choice([["", "none"], ...digits], bound(form, "key"))),
      ),
      field("Kind", choice(KINDS, bound(form, "kind"))),
      field("Columns", columnTable(columns), "Filled in for each object in the panel and exported with it."),
    ],
    before: () => [
      item && h("button.button.quiet.danger", { type: "button", onclick: remove }, icon("trash", 15), "Delete"),
      h("span.spacer"),
    ],
    leave: "Cancel",
    main: () => [item ? "Save" : "Add the class"],
    async submit() {
      const name = form.value.name.trim();
      if (!name) return false;
      if (taken.some((other) => other.name === name)) return void toast.note(`There is a class ${name} already.`);
      const values = { ...form.value, name, schema: schemaOf(columns.value) };
      const saved = await actions.saveClass(item?.name ?? name, values);
      if (saved && !item) project.className.set(name);
      return saved;
    },
  });

  function remove() {
    if (!item.objects) return void actions.deleteClass(item.name).then((done) => done && close());
    close();
    const heir = signal({ name: taken[0]?.name });
    const held = `${item.objects} ${item.objects === 1 ? "object has" : "objects have"} this class`;
    openDialog({
      title: `Delete class ${item.name}`,
      content: () =>
        taken.length
          ? [
              h("p", `${held}.`),
              field(
                "Give them the class",
                choice(
                  taken.map(({ name }) => [name, name]),
                  bound(heir, "name"),
                ),
              ),
            ]
          : h("p", `${held}; make another class for them first.`),
      main: () => [{ disabled: !taken.length }, "Delete the class"],
      submit: () => actions.deleteClass(item.name, heir.value.name),
    });
  }
}

function columnTable(columns) {
  const change = (at, part) => columns.update((all) => all.map((one, i) => (i === at ? { ...one, ...part } : one)));
  const text = (at, name, placeholder, label) =>
    h("input.small.grow", {
      type: "text",
      value: columns.value[at][name],
      placeholder,
      "aria-label": label,
      oninput: ({ target }) => change(at, { [name]: target.value }),
    });
  const add = () => columns.update((all) => [...all, { name: "", type: "string", values: "" }]);
  return h(
    "div.stack.columns",
    columns.value.map(({ type }, at) =>
      h(
        "div.row",
        text(at, "name", "column", "Column name"),
        choice(TYPES, {
          class: "small",
          "aria-label": "Type",
          value: type,
          onchange: ({ target }) => change(at, { type: target.value }),
        }),
        text(at, "values", "choices, by commas", "Choices"),
        h(
          "button.tool",
          {
            type: "button",
            "aria-label": "Remove the column",
            onclick: () => columns.update((all) => all.filter((_, i) => i !== at)),
          },
          icon("close", 14),
        ),
      ),
    ),
    h("button.button.small", { type: "button", onclick: add }, icon("plus", 13), "Column"),
  );
}
