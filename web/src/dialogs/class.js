/** Make or change a class: name, colour, key, discrete or coverage, and the columns its objects have. */

import { fill, h, icon } from "../dom.js";
import { field, openDialog } from "./dialog.js";

const COLOURS = ["#e4572e", "#3d9bf0", "#f2c14e", "#59b368", "#b06fd8", "#ef7fb0", "#2fb8ac", "#a1744f", "#8fa3bf"];

export function classDialog({ project, actions, toast }, item) {
  const taken = project.classes.value.filter((other) => other !== item);
  const freeKey = [..."123456789"].find((key) => !taken.some((other) => other.key === key)) ?? "";
  const freeColour = COLOURS.find((colour) => !taken.some((other) => other.colour === colour)) ?? COLOURS[0];

  const name = h("input", {
    type: "text",
    value: item?.name ?? "",
    required: true,
    maxLength: 100,
    placeholder: "building",
    autofocus: true,
  });
  const colour = h("input", { type: "color", value: item?.colour ?? freeColour, "aria-label": "Colour" });
  const key = h(
    "select",
    h("option", { value: "" }, "none"),
    [..."123456789"].map((digit) => {
      const owner = taken.find((other) => other.key === digit);
      return h(
        "option",
        { value: digit, disabled: Boolean(owner), selected: digit === (item ? item.key : freeKey) },
        owner ? `${digit} (${owner.name})` : digit,
      );
    }),
  );
  const kind = h(
    "select",
    [
      ["discrete", "Things: may overlap, stand apart"],
      ["coverage", "Cover: neighbours share their borders"],
    ].map(([value, text]) => h("option", { value, selected: value === item?.kind }, text)),
  );
  const columns = Object.entries(item?.schema ?? {}).map(([column, { type, values }]) => ({
    name: column,
    type,
    values: (values ?? []).join(", "),
  }));
  const table = h("div.stack", { style: { gap: "6px" } });

  const drawColumns = () =>
    fill(
      table,
      columns.map((column, i) =>
        h(
          "div.row",
          h("input.small.grow", {
            type: "text",
            value: column.name,
            placeholder: "column",
            "aria-label": "Column name",
            oninput: (event) => (column.name = event.target.value),
          }),
          h(
            "select.small",
            { "aria-label": "Type", onchange: (event) => (column.type = event.target.value) },
            ["string", "number", "boolean"].map((type) =>
              h(
                "option",
                { value: type, selected: type === column.type },
                { string: "text", number: "number", boolean: "yes or no" }[type],
              ),
            ),
          ),
          h("input.small.grow", {
            type: "text",
            value: column.values,
            placeholder: "choices, by commas",
            "aria-label": "Choices",
            oninput: (event) => (column.values = event.target.value),
          }),
          h(
            "button.tool",
            { type: "button", "aria-label": "Remove the column", onclick: () => (columns.splice(i, 1), drawColumns()) },
            icon("close", 14),
          ),
        ),
      ),
      h(
        "button.button.small",
        {
          type: "button",
          onclick: () => (columns.push({ name: "", type: "string", values: "" }), drawColumns()),
          style: { alignSelf: "flex-start" },
        },
        icon("plus", 13),
        "Column",
      ),
    );
  drawColumns();

  const schema = () =>
    Object.fromEntries(
      columns
        .filter((column) => column.name.trim())
        .map((column) => {
          const values = column.values
            .split(",")
            .map((value) => value.trim())
            .filter(Boolean);
          const typed = column.type === "number" ? values.map(Number).filter(Number.isFinite) : values;
          return [
            column.name.trim(),
            typed.length && column.type !== "boolean" ? { type: column.type, values: typed } : { type: column.type },
          ];
        }),
    );

  const footer = [
    item && h("button.button.quiet.danger", { type: "button", onclick: () => remove() }, icon("trash", 15), "Delete"),
    h("span.spacer"),
    h("button.button.quiet", { type: "button", onclick: (event) => event.target.closest("dialog").close() }, "Cancel"),
    h("button.button.primary", item ? "Save" : "Add the class"),
  ];

  const sheet = openDialog(
    item ? `Class ${item.name}` : "New class",
    [
      h("div.row", h("div.grow", field("Name", name)), field("Colour", colour), field("Key", key)),
      field("Kind", kind),
      field("Columns", table, "Filled in for each object in the panel and exported with it."),
    ],
    footer.filter(Boolean),
    {
      async submit() {
        const wanted = name.value.trim();
        if (!wanted) return false;
        if (taken.some((other) => other.name === wanted)) return void toast.note(`There is a class ${wanted} already.`);
        const saved = await actions.saveClass(item?.name ?? wanted, {
          name: wanted,
          colour: colour.value,
          key: key.value,
          kind: kind.value,
          schema: schema(),
        });
        if (saved && !item) project.className.set(wanted);
        return saved;
      },
    },
  );
  name.focus();

  function remove() {
    if (!item.objects) return void actions.deleteClass(item.name).then((done) => done && sheet.close());
    sheet.close();
    const target = h(
      "select",
      taken.map((other) => h("option", { value: other.name }, other.name)),
    );
    openDialog(
      `Delete class ${item.name}`,
      taken.length
        ? [h("p", `${item.objects} objects have this class.`), field("Give them the class", target)]
        : [h("p", `${item.objects} objects have this class; make another class for them first.`)],
      [h("button.button.primary", { disabled: !taken.length }, "Delete the class")],
      { submit: () => actions.deleteClass(item.name, target.value) },
    );
  }
}
