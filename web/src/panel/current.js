/** The card on top of the panel: the class in the hand and the outline being made. */

import { fill, h, icon } from "../dom.js";
import { pretty } from "../keys.js";
import { attributeFields } from "./fields.js";
import { slider } from "../ui/display.js";

export const metres = (value, image, digits = 1) => `${value.toFixed(digits)} ${image?.gsd ? "m" : "px"}`;
export const areaText = (outline) => {
  const { area_m2, area_px } = outline;
  if (area_m2 === null || area_m2 === undefined)
    return area_px === undefined ? "" : `${Math.round(area_px).toLocaleString("en")} px²`;
  if (area_m2 >= 1e7) return `${Math.round(area_m2 / 1e6).toLocaleString("en")} km²`;
  return area_m2 >= 20000
    ? `${(area_m2 / 10000).toLocaleString("en", { maximumFractionDigits: 1 })} ha`
    : area_m2 >= 100
      ? `${Math.round(area_m2).toLocaleString("en")} m²`
      : `${area_m2.toFixed(1)} m²`;
};

/** Most values of the sliders are small: they run with the square of the handle. */
const toSlider = (value, most) => Math.sqrt(value / most) * 100;
const fromSlider = (at, most) => (at / 100) ** 2 * most;

export function currentCard({ project, clicking, words, actions, keys, dialogs, tools }) {
  const swatch = h("span.swatch");
  const pick = h("select", {
    "aria-label": "Class",
    onchange: () => (pick.value === "+" ? (drawClass(), dialogs.editClass()) : project.className.set(pick.value)),
  });
  const classRow = h("label.class-pick", swatch, pick);

  function drawClass() {
    const names = project.classes.value.map((item) => item.name);
    fill(
      pick,
      h("option", { value: "" }, "No class"),
      project.classes.value.map((item) =>
        h("option", { value: item.name }, item.key ? `${item.name}  (${item.key})` : item.name),
      ),
      h("option", { value: "+" }, "New class…"),
    );
    pick.value = names.includes(project.className.value) ? project.className.value : "";
    swatch.style.setProperty("--colour", project.colourOf(project.className.value));
  }
  project.classes.on(drawClass);
  project.className.on(drawClass);

  const most = () => (project.image.value?.gsd ? Math.max(4, project.image.value.gsd * 16) : 16);
  const simplify = slider("Simplify", {
    min: 0,
    max: 100,
    step: 1,
    value: 0,
    show: (at) => (at ? metres(fromSlider(at, most()), project.image.value, 2) : "as needed"),
    onchange: (at) => clicking.setShape({ simplify_m: fromSlider(at, most()) }),
  });
  const square = slider("Right angles", {
    min: 0,
    max: 100,
    step: 1,
    value: 0,
    show: (at) => (at ? `walls from ${metres(fromSlider(at, most()), project.image.value, 2)}` : "off"),
    onchange: (at) => clicking.setShape({ walls: fromSlider(at, most()) }),
  });
  const drawShape = () => {
    const { simplify_m, walls } = clicking.shape.value;
    simplify.set(toSlider(simplify_m, most()));
    square.set(toSlider(walls, most()));
    simplify.classList.toggle("off", walls > 0);
  };
  clicking.shape.on(drawShape);
  project.image.on(drawShape);

  const facts = h("div.facts");
  const meter = h("div.meter", h("i"));
  const accept = h(
    "button.button.primary.grow",
    { onclick: () => clicking.accept(), dataset: { accept: "" } },
    "Accept ",
    h("kbd", pretty(keys.keysOf("accept")[0])),
  );
  const clear = h("button.button.quiet", { onclick: () => clicking.leave() }, "Clear");
  const label = h("input.small", {
    type: "text",
    placeholder: "Label (optional)",
    "aria-label": "Label",
    maxLength: 200,
    oninput: () => words.label.set(label.value),
    onkeydown: (event) => event.key === "Enter" && (label.blur(), clicking.begun() && clicking.accept()),
  });
  words.label.on((text) => text !== label.value && (label.value = text));
  const examples = h(
    "label.check",
    h("input", {
      type: "checkbox",
      checked: true,
      onchange: (event) => clicking.useExamples.set(event.target.checked),
    }),
    h("span"),
  );
  const wholeRow = h("div.row.whole", { role: "status", hidden: true });
  const drawWhole = () => {
    const feature = project.objects.value.get(words.whole.value);
    wholeRow.hidden = !feature;
    if (!feature) return;
    const p = feature.properties;
    fill(
      wholeRow,
      h("span.grow.ellipsis", `Parts of ${p.label || p.class || "an object"} `, h("span.code", feature.id.slice(0, 4))),
      h(
        "button.button.small.quiet",
        { onclick: () => words.whole.set(null), title: keys.titled("Done", "parts") },
        "Done",
      ),
    );
  };
  words.whole.on(drawWhole);
  project.objects.on(drawWhole, { now: false });
  const columns = h("div.attributes");
  const drawColumns = () =>
    fill(
      columns,
      attributeFields(project.classOf(project.className.value)?.schema, words.attributes.value, (name, value) => {
        typing = true;
        words.change(name, value);
        typing = false;
      }),
    );
  let typing = false; // what is typed is there already: the field keeps its cursor
  for (const value of [project.className, project.classes]) value.on(drawColumns);
  words.attributes.on(() => !typing && drawColumns(), { now: false });
  const empty = h("button.button.quiet.small", { onclick: () => words.empty() }, "Empty them");
  const again = h("p.row.muted.again", h("span.grow", "Columns as for the last object"), empty);
  words.repeated.on((is) => (again.hidden = !is));
  const decide = h("div.row", accept, clear);
  const open = h("div.stack", { hidden: true }, facts, meter, label, again, columns, decide);
  const head = h("h2");

  const draw = () => {
    const session = clicking.session.value;
    const outline = session?.outline;
    const begun = clicking.begun();
    const drawing = !begun && Boolean(tools.current.value?.makes); // what is drawn by hand has a label and columns too
    open.hidden = !begun && !drawing;
    for (const part of [facts, meter, decide]) part.hidden = !begun;
    head.textContent = drawing
      ? "Drawing by hand"
      : !begun
        ? "New outline"
        : session?.object
          ? "Correcting an object"
          : project.target.value === "class"
            ? "Everything like it"
            : "Outline";
    accept.disabled = !outline || outline.empty;
    if (outline)
      fill(
        facts,
        h("span", h("b", outline.empty ? "nothing" : areaText(outline))),
        outline.parts > 1 && h("span", h("b", outline.parts), " parts"),
        h("span", h("b", outline.vertices), outline.vertices === 1 ? " corner" : " corners"),
        h("span", h("b", session.clicks.length), session.clicks.length === 1 ? " click" : " clicks"),
        session.clicks.length > 0 &&
          h(
            "span.sure",
            { title: "Mean probability inside the outline" },
            h("b", `${Math.round(outline.score * 100)} %`),
            " sure",
          ),
      );
    meter.style.setProperty("--part", outline?.score ?? 0);
    const known = clicking.examplesOf(project.className.value).length;
    examples.hidden = !known;
    examples.lastChild.textContent = `Use ${known === 1 ? "the example" : `the ${known} examples`} of this class`;
  };
  for (const value of [
    clicking.session,
    clicking.busy,
    project.target,
    project.references,
    project.className,
    tools.current,
  ])
    value.on(draw);

  return h(
    "section.current.stack",
    h(
      "div.card-head",
      { style: { margin: 0 } },
      head,
      h("span.spacer"),
      h(
        "button.button.quiet.small",
        {
          onclick: () => actions.findRest(),
          title: keys.titled("Find everything like the examples of this class in the view", "find"),
        },
        icon("search", 14),
        "Find the rest",
      ),
    ),
    classRow,
    wholeRow,
    open,
    simplify,
    square,
    examples,
  );
}
