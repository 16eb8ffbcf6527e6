/** The list of objects: filter, sort, jump to, select many; only the rows in sight exist. */

import { Component } from "preact";
import { pretty } from "../keys.js";
import { live } from "../live.js";
import { h, icon } from "../markup.js";
import { debounce, derived, signal } from "../signal.js";
import { COMMENTED, SORTS, commentOf, detailText, listed, sureText } from "./listing.js";
import { Selected } from "./selected.js";

const ROW = 46;
const SPARE = 4; // rows above and below those in sight
const BADGES = { approved: "good", rejected: "bad", conflict: "bad", review: "unsure", imported: "unsure" };

export function objectsPage(context) {
  const { project, actions, tools, clicking } = context;
  const { filter, sort } = context.page;
  const rows = derived(() => listed(project.objects.value.values(), filter.value, sort.value));
  let anchor = -1; // the row that was chosen last

  function choose(event, feature, at) {
    if (event.shiftKey && anchor >= 0) {
      const between = rows.value.slice(Math.min(anchor, at), Math.max(anchor, at) + 1);
      return project.select(
        between.map((item) => item.id),
        { add: true },
      );
    }
    anchor = at;
    if (event.ctrlKey || event.metaKey) return project.toggle(feature.id);
    if (tools.is("click") && !clicking.begun()) tools.use("select");
    return actions.jumpTo(feature.id);
  }
  function onkeydown(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !rows.value.length) return;
    event.preventDefault();
    anchor = Math.min(rows.value.length - 1, Math.max(0, anchor + step));
    actions.jumpTo(rows.value[anchor].id);
  }
  const find = (uuid) => (anchor = rows.value.findIndex((feature) => feature.id === uuid));

  return {
    id: "objects",
    title: "Objects",
    count: () => project.objects.value.size,
    draw: () => [
      h(Filters, { ...context, filter, sort }),
      h(Selected, context),
      h(List, { ...context, rows, choose, onkeydown, find }),
    ],
  };
}

const Filters = live(({ project, actions, keys, filter, sort }) => {
  const used = [...project.objects.value.values()].map((item) => item.properties.class);
  const names = [...new Set([...project.classes.value.map((item) => item.name), ...used])];
  const states = (project.state.value?.statuses ?? []).map((name) => [name, name]);
  const narrow = (name, { target }) => filter.set({ ...filter.value, [name]: target.value });
  const choice = (label, value, onchange, choices) =>
    h(
      "select.small.grow",
      { "aria-label": label, value, onchange },
      choices.map(([key, text]) => h("option", { value: key }, text)),
    );
  const { class: name, status } = filter.value;
  return h(
    "div.tools",
    h(
      "div.row",
      h("input.small.grow", {
        type: "search",
        placeholder: "Filter by label or class",
        "aria-label": "Filter",
        oninput: debounce((event) => narrow("text", event), 80),
      }),
      h(
        "button.button.small",
        {
          onclick: () => actions.nextToReview(),
          title: keys.titled("Go through the objects, least certain first", "review"),
        },
        icon("review", 14),
        "Review",
      ),
    ),
    h(
      "div.row",
      choice("Class", name, (event) => narrow("class", event), [
        ["*", "All classes"],
        ...[...names, ...(name === "*" || names.includes(name) ? [] : [name])].map((one) => [one, one || "No class"]),
      ]),
      choice("Status", status, (event) => narrow("status", event), [
        ["*", "All states"],
        [COMMENTED, "with a comment"],
        ...states,
      ]),
      choice(
        "Sort",
        sort.value,
        ({ target }) => sort.set(target.value),
        Object.entries(SORTS).map(([key, [text]]) => [key, text]),
      ),
    ),
  );
});

/** The list stands where it was scrolled to, or where the one object that was selected elsewhere is in sight. */
class List extends Component {
  window = signal({ top: 0, height: 0 });
  look = () => this.window.set({ top: this.element.scrollTop, height: this.element.clientHeight });
  take = (element) => {
    this.element = element;
    this.resized?.disconnect();
    if (element) (this.resized = new ResizeObserver(this.look)).observe(element);
  };
  componentDidMount() {
    const reveal = (chosen, before) => {
      const [only] = chosen;
      if (chosen.size !== 1 || before?.has(only)) return;
      const at = this.props.find(only);
      const { scrollTop, clientHeight } = this.element;
      if (at >= 0 && (at * ROW < scrollTop || (at + 1) * ROW > scrollTop + clientHeight))
        this.element.scrollTop = at * ROW - clientHeight / 2;
    };
    this.stop = this.props.project.selection.on(reveal, { now: false });
  }
  componentWillUnmount() {
    this.stop();
  }
  render(props) {
    return h(Rows, { ...props, window: this.window, take: this.take, look: this.look });
  }
}

/** The id of an object's row in the page. */
const rowId = (uuid) => `object-${uuid}`;

const Rows = live(({ rows, window, onkeydown, take, look, ...more }) => {
  const all = rows.value;
  const [only, another] = more.project.selection.value;
  const { top, height } = window.value;
  const from = Math.max(0, Math.floor(top / ROW) - SPARE);
  const inSight = all.slice(from, Math.ceil((top + height) / ROW) + SPARE);
  const at = !another && inSight.some(({ id }) => id === only) ? rowId(only) : undefined;
  const role = all.length
    ? { role: "listbox", "aria-multiselectable": "true", "aria-activedescendant": at }
    : { role: "group" };
  return h(
    "div.list",
    { "aria-label": "Objects", tabIndex: 0, ref: take, onscroll: look, onkeydown, ...role },
    all.length
      ? h(
          "div",
          { style: { position: "relative", height: `${all.length * ROW}px` } },
          inSight.map((feature, i) => h(Row, { key: feature.id, feature, at: from + i, of: all.length, ...more })),
        )
      : h(Nothing, more),
  );
});

const Row = live(({ feature, at, of, project, actions, choose }) => {
  const p = feature.properties;
  const chosen = project.selection.value.has(feature.id);
  const [sure, comment] = [sureText(p), commentOf(p)];
  return h(
    "div.item",
    {
      id: rowId(feature.id),
      role: "option",
      "aria-selected": chosen,
      "aria-posinset": at + 1,
      "aria-setsize": of,
      class: chosen ? "selected" : "",
      dataset: { uuid: feature.id },
      style: { position: "absolute", top: `${at * ROW}px` },
      onclick: (event) => choose(event, feature, at),
      ondblclick: () => actions.reopen(feature.id),
      title: "Click: go there · double click: go on clicking",
    },
    h("span.swatch", { style: { "--colour": project.colourOf(p.class) } }),
    h(
      "div.words",
      h("div.name.ellipsis", p.label || [p.class || "No class", " ", h("span.code", feature.id.slice(0, 4))]),
      h("div.detail.ellipsis", detailText(feature, project.state.value?.users?.length > 1)),
    ),
    h(
      "div.side",
      comment && h("span.comment", { title: comment }, icon("comment", 15)),
      p.status !== "accepted" && h("span.badge", { class: BADGES[p.status] }, p.status),
      sure && h("span", { title: "How sure the model was" }, sure),
    ),
  );
});

const Nothing = live(({ project, keys, dialogs }) => {
  if (project.objects.value.size) return h("div.empty", icon("search", 26), "No object matches the filter.");
  const hints = [
    ["Right click", "takes away what is too much"],
    [pretty(keys.keysOf("tool.draw")[0]), "draws by hand, with right angles"],
    [pretty(keys.keysOf("target")[0]), "outlines everything like it"],
    [pretty(keys.keysOf("undo")[0]), "takes back whatever was done last"],
    ["Classes", "have names, colours, keys and attributes"],
  ];
  return h(
    "div.empty",
    icon("click", 30),
    h("b", "Nothing here yet"),
    "Click on a thing in the picture, correct the outline with further clicks, and press Enter to keep it.",
    h(
      "ul.hints",
      hints.map(([key, text]) => h("li", h("kbd", key), " ", text)),
      h("li", h("button.button.small", { onclick: () => dialogs.keys() }, icon("help", 14), "Open the guide")),
    ),
  );
});
