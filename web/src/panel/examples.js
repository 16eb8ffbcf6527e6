/** Examples and counter-examples per class, and the proposals that "find the rest" made from them. */

import { Component } from "preact";
import { api } from "../api.js";
import { pretty } from "../keys.js";
import { live } from "../live.js";
import { h, icon } from "../markup.js";
import { Slider } from "../ui/slider.js";
import { areaText, grouped } from "./listing.js";

export const examplesPage = (context) => ({
  id: "examples",
  title: "Examples",
  count: () => context.project.references.value.length,
  draw: () => h(Page, context),
});

const Page = live((context) => {
  const { actions, dialogs } = context;
  if (actions.proposals.value) return [h(Found, context), h(Proposals, context)];
  return [
    h(Examples, context),
    h(
      "div.tools.below",
      h(
        "button.button",
        { onclick: () => dialogs.addExample() },
        icon("image", 15),
        "Example from a picture and its mask",
      ),
    ),
  ];
});

const Examples = live(({ project, actions, keys }) => {
  const groups = grouped(project.references.value, (item) => item.class);
  const find = (name) => (project.className.set(name), project.select([]), actions.findRest());
  const key = (id) => h("kbd", pretty(keys.keysOf(id)[0]));
  const sections = [...groups].map(([name, items]) =>
    h(
      "section.section",
      { key: name },
      h(
        "h3",
        h("span.swatch", { style: { "--colour": project.colourOf(name) } }),
        name || "No class",
        h("span.spacer"),
        h("button.button.small", { onclick: () => find(name) }, icon("search", 13), "Find the rest"),
      ),
      h(
        "div.thumbs",
        items.map((item) => thumb(item, actions)),
      ),
    ),
  );
  const advice = [
    ...["Select an object and press ", key("example"), " to use it as an example of its class, "],
    ...[key("counterexample"), " for what is not meant. ", key("find"), " then finds the rest in the view."],
  ];
  return h(
    "div.list",
    sections.length ? sections : h("div.empty", icon("star", 28), h("b", "No examples yet"), h("span", advice)),
  );
});

function thumb(item, actions) {
  const title = item.positive ? "Example" : "Counter-example";
  return h(
    "div.thumb",
    { key: item.id, class: item.positive ? "positive" : "negative", title },
    h("img", { src: api.referencePicture(item.id), alt: `${title} of ${item.class}`, loading: "lazy" }),
    h(
      "button",
      { "aria-label": "Remove this example", onclick: () => actions.removeReference(item) },
      icon("close", 12),
    ),
  );
}

const Found = live(({ actions, keys }) => {
  const { all, items, kept, refused, least, class: name } = actions.proposals.value;
  const decision = (text, id, yes) =>
    h(
      "button.button.grow",
      { class: yes ? "primary" : "", onclick: () => actions.decideCurrent(yes) },
      text,
      h("kbd", pretty(keys.keysOf(id)[0])),
    );
  return h(
    "div.tools",
    h(
      "div.row",
      h("b.grow", `${all.length} more of ${name || "this"}`),
      h("span.badge.good", `${kept} kept`),
      h("span.badge.bad", `${refused} refused`),
    ),
    h("div.row", decision("Keep ", "yes", true), decision("Refuse ", "no", false)),
    h(Slider, {
      label: "At least this sure",
      value: Math.round(least * 100),
      show: (value) => `${value} %`,
      change: (value) => actions.setLeast(value / 100),
    }),
    h(
      "div.row",
      h(
        "button.button.small.grow",
        { disabled: !items.length, onclick: () => actions.decide(items, true) },
        `Keep all ${items.length}`,
      ),
      h("button.button.small.quiet", { onclick: () => actions.closeProposals() }, "Done"),
    ),
  );
});

const Proposals = live(({ actions }) => {
  const { items, at } = actions.proposals.value;
  return h(
    "div.list",
    items.map((item, i) => h(Proposal, { key: item.item, item, at: i, current: i === at, actions })),
  );
});

/** One proposal; the one in the hand is in sight. */
class Proposal extends Component {
  reveal = () => this.props.current && this.element.scrollIntoView({ block: "nearest" });
  componentDidMount = this.reveal;
  componentDidUpdate = this.reveal;
  render({ item, at, current, actions }) {
    const button = (label, name, yes) =>
      h(
        "button.tool",
        { "aria-label": label, onclick: (event) => (event.stopPropagation(), actions.decide([item], yes)) },
        icon(name, 16),
      );
    return h(
      "div.item",
      {
        ref: (element) => (this.element = element),
        class: current ? "selected" : "",
        onclick: () => actions.focusProposal(at),
        dataset: { proposal: item.item },
      },
      h("span.badge.proposed", `${Math.round(item.score * 100)} %`),
      h("span.detail", areaText(item.outline)),
      h("div.side", button("Keep", "check", true), button("Refuse", "close", false)),
    );
  }
}
