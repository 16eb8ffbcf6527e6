/** Examples and counter-examples per class, and the proposals that "find the rest" made from them. */

import { append, fill, h, icon } from "../dom.js";
import { api } from "../api.js";
import { pretty } from "../keys.js";
import { slider } from "../ui/display.js";
import { areaText } from "./current.js";

export function examplesPage({ project, actions, keys, dialogs }) {
  const list = h("div.list");
  const found = h("div.page", { hidden: true });

  const draw = () => {
    const groups = new Map();
    for (const item of project.references.value) groups.set(item.class, [...(groups.get(item.class) ?? []), item]);
    const sections = [...groups].map(([name, items]) =>
      h(
        "section.section",
        h(
          "h3",
          h("span.swatch", { style: { "--colour": project.colourOf(name) } }),
          name || "No class",
          h("span.spacer"),
          h(
            "button.button.small",
            { onclick: () => (project.className.set(name), project.select([]), actions.findRest()) },
            icon("search", 13),
            "Find the rest",
          ),
        ),
        h("div.thumbs", items.map(thumb)),
      ),
    );
    fill(
      list,
      sections.length
        ? sections
        : h(
            "div.empty",
            icon("star", 28),
            h("b", "No examples yet"),
            h(
              "span",
              "Select an object and press ",
              h("kbd", pretty(keys.keysOf("example")[0])),
              " to use it as an example of its class, ",
              h("kbd", pretty(keys.keysOf("counterexample")[0])),
              " for what is not meant. ",
              h("kbd", pretty(keys.keysOf("find")[0])),
              " then finds the rest in the view.",
            ),
          ),
    );
  };
  const thumb = (item) =>
    h(
      "div.thumb",
      { class: item.positive ? "positive" : "negative", title: item.positive ? "Example" : "Counter-example" },
      h("img", {
        src: api.referencePicture(item.id),
        alt: `${item.positive ? "Example" : "Counter-example"} of ${item.class}`,
        loading: "lazy",
      }),
      h(
        "button",
        { "aria-label": "Remove this example", onclick: () => actions.removeReference(item) },
        icon("close", 12),
      ),
    );
  project.references.on(draw);
  project.classes.on(draw);

  const least = slider("At least this sure", {
    min: 0,
    max: 100,
    step: 1,
    value: 0,
    show: (value) => `${value} %`,
    onchange: (value) => actions.setLeast(value / 100),
  });
  actions.proposals.on((current, before) => current && !before && least.set(0), { now: false });

  // The slider stays in place while it is dragged: only what is around it is drawn anew.
  const head = h("div.row");
  const all = h("button.button.small.grow", { onclick: () => actions.decide(actions.proposals.value.items, true) });
  const rows = h("div.list");
  const decisions = h("div.row");
  append(found, [
    h(
      "div.tools",
      head,
      decisions,
      least,
      h("div.row", all, h("button.button.small.quiet", { onclick: () => actions.closeProposals() }, "Done")),
    ),
    rows,
  ]);

  const drawFound = () => {
    const current = actions.proposals.value;
    found.hidden = !current;
    rest.hidden = Boolean(current);
    if (!current) return;
    fill(
      head,
      h("b.grow", `${current.all.length} more of ${current.class || "this"}`),
      h("span.badge.good", `${current.kept} kept`),
      h("span.badge.bad", `${current.refused} refused`),
    );
    fill(
      decisions,
      h(
        "button.button.primary.grow",
        { onclick: () => actions.decideCurrent(true) },
        "Keep ",
        h("kbd", pretty(keys.keysOf("yes")[0])),
      ),
      h(
        "button.button.grow",
        { onclick: () => actions.decideCurrent(false) },
        "Refuse ",
        h("kbd", pretty(keys.keysOf("no")[0])),
      ),
    );
    all.textContent = `Keep all ${current.items.length}`;
    all.disabled = !current.items.length;
    fill(
      rows,
      current.items.map((item, at) => proposal(item, at, at === current.at)),
    );
    rows.children[current.at]?.scrollIntoView({ block: "nearest" });
  };
  const proposal = (item, at, current) =>
    h(
      "div.item",
      { class: current ? "selected" : "", onclick: () => actions.focusProposal(at), dataset: { proposal: item.item } },
      h("span.badge.proposed", `${Math.round(item.score * 100)} %`),
      h("span.detail", areaText(item.outline)),
      h(
        "div.side",
        h(
          "button.tool",
          { "aria-label": "Keep", onclick: (event) => (event.stopPropagation(), actions.decide([item], true)) },
          icon("check", 16),
        ),
        h(
          "button.tool",
          { "aria-label": "Refuse", onclick: (event) => (event.stopPropagation(), actions.decide([item], false)) },
          icon("close", 16),
        ),
      ),
    );
  const rest = h(
    "div.page",
    list,
    h(
      "div.tools",
      { style: { borderTop: "1px solid var(--line)", borderBottom: 0 } },
      h(
        "button.button",
        { onclick: () => dialogs.addExample() },
        icon("image", 15),
        "Example from a picture and its mask",
      ),
    ),
  );
  actions.proposals.on(drawFound);

  return {
    id: "examples",
    title: "Examples",
    count: () => project.references.value.length,
    element: h("div.page", rest, found),
  };
}
