/** The card on top of the panel: the class in the hand and the outline being made. */

import { pretty } from "../keys.js";
import { live } from "../live.js";
import { h, icon } from "../markup.js";
import { Slider } from "../ui/slider.js";
import { attributeFields } from "./fields.js";
import { areaText } from "./listing.js";

/** Most values of the sliders are small: they run with the square of the handle. */
const toSlider = (value, most) => Math.round(Math.sqrt(value / most) * 100);
const fromSlider = (at, most) => (at / 100) ** 2 * most;

export const CurrentCard = (context) =>
  h(
    "section.current.stack",
    h(Head, context),
    h(ClassPick, context),
    h(Whole, context),
    h(Outline, context),
    h(Shape, context),
    h(UseExamples, context),
  );

/** Whether an outline is open or something is drawn by hand, which has a label and columns too. */
const stateOf = ({ clicking, tools }) => {
  const begun = clicking.begun();
  return { begun, drawing: !begun && Boolean(tools.current.value?.makes) };
};

const Head = live((context) => {
  const { clicking, project, actions, keys } = context;
  const { begun, drawing } = stateOf(context);
  const open = clicking.openOutline.value?.object ? "Correcting an object" : "Outline";
  const kind = project.target.value === "class" && open === "Outline" ? "Everything like it" : open;
  const title = keys.titled("Find everything like the examples of this class in the view", "find");
  return h(
    "div.card-head",
    h("h2", drawing ? "Drawing by hand" : begun ? kind : "New outline"),
    h("span.spacer"),
    h("button.button.quiet.small", { onclick: () => actions.findRest(), title }, icon("search", 14), "Find the rest"),
  );
});

const ClassPick = live(({ project, dialogs }) => {
  const held = project.classOf(project.className.value)?.name ?? "";
  function onchange({ target }) {
    if (target.value !== "+") return project.className.set(target.value);
    target.value = held;
    return dialogs.editClass();
  }
  return h(
    "label.class-pick",
    h("span.swatch", { style: { "--colour": project.colourOf(project.className.value) } }),
    h(
      "select",
      { "aria-label": "Class", value: held, onchange },
      h("option", { value: "" }, "No class"),
      project.classes.value.map(({ name, key }) => h("option", { value: name }, key ? `${name}  (${key})` : name)),
      h("option", { value: "+" }, "New class…"),
    ),
  );
});

/** Whose parts the next objects are. */
const Whole = live(({ project, words, keys }) => {
  const feature = project.objects.value.get(words.whole.value);
  const { label, class: name } = feature?.properties ?? {};
  return h(
    "div.row.whole",
    { role: "status", hidden: !feature },
    feature && [
      h("span.grow.ellipsis", `Parts of ${label || name || "an object"} `, h("span.code", feature.id.slice(0, 4))),
      h(
        "button.button.small.quiet",
        { onclick: () => words.whole.set(null), title: keys.titled("Done", "parts") },
        "Done",
      ),
    ],
  );
});

const Outline = live((context) => {
  const { clicking, words, keys } = context;
  const { begun, drawing } = stateOf(context);
  const { outline, clicks = [], box } = clicking.openOutline.value ?? {};
  return h(
    "div.stack",
    { hidden: !begun && !drawing },
    h("div.facts", { hidden: !begun }, outline && facts(outline, clicks, box)),
    h("div.meter", { hidden: !begun, style: { "--part": outline?.score ?? 0 } }, h("i")),
    h("input.small", {
      type: "text",
      placeholder: "Label (optional)",
      "aria-label": "Label",
      maxLength: 200,
      value: words.label.value,
      oninput: ({ target }) => words.label.set(target.value),
      onkeydown: ({ key, target }) => key === "Enter" && (target.blur(), clicking.begun() && clicking.accept()),
    }),
    h(Columns, context),
    h(
      "div.row",
      { hidden: !begun },
      h(
        "button.button.primary.grow",
        { onclick: () => clicking.accept(), disabled: !outline || outline.empty, dataset: { accept: "" } },
        "Accept ",
        h("kbd", pretty(keys.keysOf("accept")[0])),
      ),
      h("button.button.quiet", { onclick: () => clicking.leave() }, "Clear"),
    ),
  );
});

function facts({ empty, parts, vertices, score, ...size }, clicks, box) {
  const many = (n, word) => h("span", h("b", n), n === 1 ? ` ${word}` : ` ${word}s`);
  return [
    h("span", h("b", empty ? "nothing" : areaText(size))),
    parts > 1 && many(parts, "part"),
    many(vertices, "corner"),
    box && h("span", "box"),
    (clicks.length > 0 || !box) && many(clicks.length, "click"),
    (clicks.length > 0 || box) &&
      h("span.sure", { title: "Mean probability inside the outline" }, h("b", `${Math.round(score * 100)} %`), " sure"),
  ];
}

/** What the columns of the class in the hand hold for the next object. */
const Columns = live(({ project, words }) => {
  const { schema } = project.classOf(project.className.value) ?? {};
  return [
    h(
      "p.row.muted.again",
      { hidden: !words.repeated.value },
      h("span.grow", "Columns as for the last object"),
      h("button.button.quiet.small", { onclick: () => words.empty() }, "Empty them"),
    ),
    h("div.attributes", attributeFields(schema, words.attributes.value, words.change)),
  ];
});

const Shape = live(({ project, clicking }) => {
  const image = project.image.value;
  const most = image?.gsd ? Math.max(4, image.gsd * 16) : 16;
  const { simplify_m, walls } = clicking.shape.value;
  const length = (at) => `${fromSlider(at, most).toFixed(2)} ${image?.gsd ? "m" : "px"}`;
  return [
    h(Slider, {
      label: "Simplify",
      value: toSlider(simplify_m, most),
      show: (at) => (at ? length(at) : "as needed"),
      change: (at) => clicking.setShape({ simplify_m: fromSlider(at, most) }),
      off: walls > 0,
    }),
    h(Slider, {
      label: "Right angles",
      value: toSlider(walls, most),
      show: (at) => (at ? `walls from ${length(at)}` : "off"),
      change: (at) => clicking.setShape({ walls: fromSlider(at, most) }),
    }),
  ];
});

const UseExamples = live(({ project, clicking }) => {
  const known = clicking.examplesOf(project.className.value).length;
  return h(
    "label.check",
    { hidden: !known },
    h("input", {
      type: "checkbox",
      checked: clicking.useExamples.value,
      onchange: ({ target }) => clicking.useExamples.set(target.checked),
    }),
    h("span", `Use ${known === 1 ? "the example" : `the ${known} examples`} of this class`),
  );
});
