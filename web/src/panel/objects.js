/** The list of objects: filter, sort, jump to, select many, relabel; only the rows in sight exist. */

import { fill, h, icon } from "../dom.js";
import { area, isArea, lengthOf, toMap } from "../geometry.js";
import { lengthText } from "../drawing/guides.js";
import { debounce, signal } from "../signal.js";
import { pretty } from "../keys.js";
import { areaText } from "./current.js";
import { commentField, commentOf } from "./comments.js";
import { attributeFields } from "./fields.js";

const ROW = 46;
const COMMENTED = "+comment"; // no state has such a name
const SORTS = {
  newest: ["Newest", (a, b) => (b.created < a.created ? -1 : 1)],
  unsure: ["Least certain", (a, b) => (a.score ?? -1) - (b.score ?? -1)],
  largest: ["Largest", (a, b) => (b.area_m2 ?? 0) - (a.area_m2 ?? 0)],
  smallest: ["Smallest", (a, b) => (a.area_m2 ?? 0) - (b.area_m2 ?? 0)],
  class: ["By class", (a, b) => a.class.localeCompare(b.class)],
  changed: ["Last changed", (a, b) => (b.updated < a.updated ? -1 : 1)],
};

export function objectsPage({ project, actions, keys, tools, clicking, dialogs }) {
  const filter = signal({ text: "", class: "*", status: "*" });
  const sort = signal("newest");
  let rows = [];

  const search = h("input.small.grow", {
    type: "search",
    placeholder: "Filter by label or class",
    "aria-label": "Filter",
    oninput: debounce(() => filter.set({ ...filter.value, text: search.value.trim().toLowerCase() }), 80),
  });
  const byClass = h("select.small.grow", {
    "aria-label": "Class",
    onchange: () => filter.set({ ...filter.value, class: byClass.value }),
  });
  const byStatus = h("select.small.grow", {
    "aria-label": "Status",
    onchange: () => filter.set({ ...filter.value, status: byStatus.value }),
  });
  const order = h(
    "select.small.grow",
    { "aria-label": "Sort", onchange: () => sort.set(order.value) },
    Object.entries(SORTS).map(([value, [text]]) => h("option", { value }, text)),
  );
  const review = h(
    "button.button.small",
    {
      onclick: () => actions.nextToReview(),
      title: keys.titled("Go through the objects, least certain first", "review"),
    },
    icon("review", 14),
    "Review",
  );

  const list = h("div.list", { role: "listbox", "aria-label": "Objects", "aria-multiselectable": "true", tabIndex: 0 });
  const space = h("div", { style: { position: "relative" } });
  const bulk = h("div.bulk", { hidden: true });
  list.addEventListener("scroll", () => paint());
  new ResizeObserver(() => paint()).observe(list);

  function drawFilters() {
    const names = [
      ...new Set([
        ...project.classes.value.map((item) => item.name),
        ...[...project.objects.value.values()].map((item) => item.properties.class),
      ]),
    ];
    const keep = [byClass.value || "*", byStatus.value || "*"];
    fill(
      byClass,
      h("option", { value: "*" }, "All classes"),
      names.map((name) => h("option", { value: name }, name || "No class")),
    );
    fill(
      byStatus,
      h("option", { value: "*" }, "All states"),
      h("option", { value: COMMENTED }, "with a comment"),
      (project.state.value?.statuses ?? []).map((name) => h("option", { value: name }, name)),
    );
    byClass.value = names.includes(keep[0]) ? keep[0] : "*";
    byStatus.value = keep[1];
  }

  function collect() {
    const { text, class: name, status } = filter.value;
    const matches = ({ properties: p }) =>
      (name === "*" || p.class === name) &&
      (status === "*" || (status === COMMENTED ? commentOf(p) : p.status === status)) &&
      (!text || `${p.class} ${p.label} ${commentOf(p)}`.toLowerCase().includes(text));
    const compare = SORTS[sort.value][1];
    rows = [...project.objects.value.values()].filter(matches).sort((a, b) => compare(a.properties, b.properties));
    paint(true);
  }

  let first = -1;
  let last = -1;
  function paint(force = false) {
    if (!rows.length) {
      first = last = -1;
      list.setAttribute("role", "group");
      list.removeAttribute("aria-multiselectable");
      return fill(list, nothing());
    }
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-multiselectable", "true");
    if (space.parentNode !== list) fill(list, space);
    space.style.height = `${rows.length * ROW}px`;
    const from = Math.max(0, Math.floor(list.scrollTop / ROW) - 4);
    const to = Math.min(rows.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 4);
    if (!force && from === first && to === last) return;
    [first, last] = [from, to];
    fill(
      space,
      rows.slice(from, to).map((feature, i) => row(feature, from + i)),
    );
  }

  const nothing = () =>
    project.objects.value.size
      ? h("div.empty", icon("search", 26), "No object matches the filter.")
      : h(
          "div.empty",
          icon("click", 30),
          h("b", "Nothing here yet"),
          "Click on a thing in the picture, correct the outline with further clicks, and press Enter to keep it.",
          hints(),
        );
  const hints = () =>
    h(
      "ul.hints",
      [
        ["Right click", "takes away what is too much"],
        [pretty(keys.keysOf("tool.draw")[0]), "draws by hand, with right angles"],
        [pretty(keys.keysOf("target")[0]), "outlines everything like it"],
        [pretty(keys.keysOf("undo")[0]), "takes back whatever was done last"],
        ["Classes", "have names, colours, keys and attributes"],
      ].map(([key, text]) => h("li", h("kbd", key), " ", text)),
      h("li", h("button.button.small", { onclick: () => dialogs.keys() }, icon("help", 14), "Open the guide")),
    );

  /** Whether a model made the outline: only then is it so and so sure. */
  const modelled = ({ model, n_clicks }) => n_clicks > 0 || !["", "hand", "import", undefined, null].includes(model);

  /** How large an area is, how long a line; a point is called one. */
  function sizeText({ geometry, properties: p }) {
    if (!geometry || isArea(geometry))
      return areaText({ ...p, area_px: p.area_m2 === null && geometry ? area(toMap(geometry)) : undefined });
    if (geometry.type.endsWith("Point")) return "point";
    return p.perimeter_m === null ? lengthText(lengthOf(toMap(geometry)), null) : lengthText(p.perimeter_m, { gsd: 1 });
  }

  function row(feature, at) {
    const p = feature.properties;
    const chosen = project.selection.value.has(feature.id);
    const [outline, sure] = [
      sizeText(feature),
      p.score === null || p.score === undefined || !modelled(p) ? "" : `${Math.round(p.score * 100)} %`,
    ];
    return h(
      "div.item",
      {
        role: "option",
        "aria-selected": String(chosen),
        class: chosen ? "selected" : "",
        dataset: { uuid: feature.id },
        style: { position: "absolute", top: `${at * ROW}px` },
        onclick: (event) => choose(event, feature, at),
        ondblclick: () => actions.reopen(feature.id),
        title: "Click: go there · double click: go on clicking",
      },
      h("span.swatch", { style: { "--colour": project.colourOf(p.class) } }),
      h(
        "div",
        { style: { minWidth: 0 } },
        h("div.name.ellipsis", p.label || [p.class || "No class", " ", h("span.code", feature.id.slice(0, 4))]),
        h(
          "div.detail.ellipsis",
          [
            p.label && p.class,
            p.attributes?.part_of && `part of ${String(p.attributes.part_of).slice(0, 4)}`,
            outline,
            p.n_clicks
              ? `${p.n_clicks} ${p.n_clicks === 1 ? "click" : "clicks"}`
              : p.status === "imported"
                ? "imported"
                : sure
                  ? "found"
                  : "by hand",
            project.state.value?.users?.length > 1 && p.author,
          ]
            .filter(Boolean)
            .join(" · "),
        ),
      ),
      h(
        "div.side",
        commentOf(p) && h("span.comment", { title: commentOf(p) }, icon("comment", 15)),
        p.status !== "accepted" &&
          h(
            "span.badge",
            {
              class:
                { approved: "good", rejected: "bad", conflict: "bad", review: "unsure", imported: "unsure" }[
                  p.status
                ] ?? "",
            },
            p.status,
          ),
        sure && h("span", { title: "How sure the model was" }, sure),
      ),
    );
  }

  let anchor = -1;
  function choose(event, feature, at) {
    if (event.shiftKey && anchor >= 0) {
      const [from, to] = [Math.min(anchor, at), Math.max(anchor, at)];
      return project.select(
        rows.slice(from, to + 1).map((item) => item.id),
        { add: true },
      );
    }
    anchor = at;
    if (event.ctrlKey || event.metaKey) return project.toggle(feature.id);
    if (tools.is("click") && !clicking.begun()) tools.use("select");
    return actions.jumpTo(feature.id);
  }
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !rows.length) return;
    event.preventDefault();
    anchor = Math.min(rows.length - 1, Math.max(0, anchor + step));
    list.scrollTop = Math.max(Math.min(list.scrollTop, anchor * ROW), (anchor + 1) * ROW - list.clientHeight);
    actions.jumpTo(rows[anchor].id);
  });

  function drawBulk() {
    const chosen = project.selected();
    bulk.hidden = !chosen.length;
    if (!chosen.length) return;
    const classes = h(
      "select.small.grow",
      { "aria-label": "Change class", onchange: () => actions.relabel(classes.value) },
      h("option", { value: "*", disabled: true, selected: true }, "Change class…"),
      project.classes.value.map((item) => h("option", { value: item.name }, item.name)),
      h("option", { value: "" }, "No class"),
    );
    const states = h(
      "select.small.grow",
      {
        "aria-label": "Change state",
        onchange: () => actions.set(chosen, { status: states.value }, `mark as ${states.value}`),
      },
      h("option", { disabled: true, selected: true }, "Change state…"),
      (project.state.value?.statuses ?? [])
        .filter((name) => name !== "conflict")
        .map((name) => h("option", { value: name }, name)),
    );
    const act = (name, label, id, run) =>
      h(
        "button.tool",
        { onclick: run, "aria-label": label, title: keys.titled(label, id), style: { width: "28px", height: "28px" } },
        icon(name, 16),
      );
    fill(
      bulk,
      h(
        "div.acts",
        h("b", chosen.length === 1 ? "1 selected" : `${chosen.length} selected`),
        chosen.length === 1 && act("click", "Go on clicking on it", "reopen", () => actions.reopen(chosen[0].id)),
        chosen.length > 1 && act("merge", "Combine", "merge", () => actions.merge()),
        act("copy", "Copy", "copy", () => actions.copy()),
        h(
          "button.button.small",
          {
            onclick: () => actions.reshape(),
            title: keys.titled("Simplify, or make right angles, as the sliders above say", "square"),
          },
          icon("object", 14),
          "Shape",
        ),
      ),
      h(
        "div.acts",
        act("check", "Approve", "yes", () => actions.judge(true)),
        act("close", "Reject", "no", () => actions.judge(false)),
        act("star", "Use as an example", "example", () => actions.addExample(true)),
        chosen.some(({ geometry }) => geometry?.type.startsWith("Multi")) &&
          act("parts", "Separate the parts", "explode", () => actions.explode()),
        act("trash", "Delete", "delete", () => actions.remove()),
      ),
      h("div.row", { style: { width: "100%" } }, classes, states),
      chosen.length === 1 && attributes(chosen[0]),
    );
  }

  /** Label and attribute columns of the one selected object. */
  function attributes(feature) {
    const p = feature.properties;
    const schema = project.classOf(p.class)?.schema ?? {};
    const save = (values, what) => actions.set([feature], values, `change ${what}`);
    const label = h("input.small", {
      type: "text",
      value: p.label ?? "",
      maxLength: 200,
      "aria-label": "Label of the object",
      onchange: () => save({ label: label.value }, "the label"),
    });
    const fields = attributeFields(schema, p.attributes, (name, value) =>
      save({ attributes: { [name]: value } }, name),
    );
    return h(
      "div.attributes",
      { style: { width: "100%" } },
      h("label", "Label"),
      label,
      fields,
      commentField(p, schema, save),
    );
  }

  project.objects.on(() => (drawFilters(), collect(), drawBulk()));
  project.classes.on(() => (drawFilters(), paint(true)));
  project.state.on(() => byStatus.options.length < 3 && drawFilters());
  filter.on(collect, { now: false });
  sort.on(() => ((order.value = sort.value), collect()), { now: false });
  project.selection.on((chosen, before) => {
    drawBulk();
    paint(true);
    const [only] = chosen;
    if (chosen.size === 1 && !before?.has(only)) reveal(only);
  });
  function reveal(uuid) {
    const at = rows.findIndex((feature) => feature.id === uuid);
    if (at < 0) return;
    anchor = at;
    if (at * ROW < list.scrollTop || (at + 1) * ROW > list.scrollTop + list.clientHeight)
      list.scrollTop = at * ROW - list.clientHeight / 2;
  }

  return {
    id: "objects",
    title: "Objects",
    count: () => project.objects.value.size,
    element: h(
      "div.page",
      h("div.tools", h("div.row", search, review), h("div.row", byClass, byStatus, order)),
      bulk,
      list,
    ),
    leastCertainFirst: () => sort.set("unsure"),
  };
}
