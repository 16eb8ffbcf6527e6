/**
 * The one side panel: current outline, pages in tabs, and a foot that says how far things are and that they are saved.
 */

import { live } from "../live.js";
import { h } from "../markup.js";
import { CurrentCard } from "./current.js";
import { objectsPage } from "./objects.js";
import { classesPage } from "./classes.js";
import { examplesPage } from "./examples.js";

export function createPanel(context) {
  const { project, actions, page } = context;
  const pages = [objectsPage(context), classesPage(context), examplesPage(context)];
  const shown = page.tab;
  actions.proposals.on((now, before) => now && !before && shown.set("examples"));
  project.selection.on((chosen) => chosen.size && !actions.proposals.value && shown.set("objects"), { now: false });
  return () =>
    h(
      "aside.panel",
      { "aria-label": "Session" },
      h(CurrentCard, context),
      h(Tabs, { pages, shown }),
      pages.map((one) => h(Page, { page: one, shown })),
      h(Foot, context),
    );
}

/** Arrow keys go from tab to tab, as in any list of tabs; Tab goes on into the page. */
const Tabs = live(({ pages, shown }) => {
  function onkeydown(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = (pages.findIndex(({ id }) => id === shown.value) + step + pages.length) % pages.length;
    shown.set(pages[at].id);
    event.currentTarget.children[at].focus();
  }
  return h(
    "div.tabs",
    { role: "tablist", onkeydown },
    pages.map(({ id, title, count }) => {
      const selected = id === shown.value;
      const names = { id: `tab-${id}`, role: "tab", "aria-controls": `page-${id}`, "aria-selected": selected };
      return h(
        "button",
        { ...names, tabIndex: selected ? 0 : -1, dataset: { page: id }, onclick: () => shown.set(id) },
        title,
        h("span.count", count() || ""),
      );
    }),
  );
});

const Page = live(({ page: { id, draw }, shown }) =>
  h(
    "div.page",
    { id: `page-${id}`, role: "tabpanel", "aria-labelledby": `tab-${id}`, hidden: id !== shown.value },
    draw(),
  ),
);

const TIME = { hour: "2-digit", minute: "2-digit", second: "2-digit" };

const Foot = live(({ project, dialogs }) => {
  const objects = [...project.objects.value.values()];
  const reviewed = objects.filter(({ properties }) => ["approved", "rejected"].includes(properties.status)).length;
  const state = project.state.value;
  const { kind, at, why } = project.saved.value;
  const saved = at ? `Saved ${at.toLocaleTimeString([], TIME)}` : "Everything saved";
  const several = project.images.value.length > 1;
  return h(
    "div.foot",
    h(
      "div.row",
      h(
        "span",
        h("b", objects.length),
        " here",
        several && " · ",
        several &&
          h(
            "button.link",
            { onclick: () => dialogs.images("work"), title: "Where the others are" },
            `${state?.objects ?? objects.length} in all`,
          ),
      ),
      h("span", `${reviewed} of ${objects.length} reviewed`),
    ),
    h("div.meter", { style: { "--part": objects.length ? reviewed / objects.length : 0 } }, h("i")),
    h(
      "div.row",
      h(
        "span.saved",
        { class: kind, title: why?.text ?? (state ? `in ${state.session.name}` : "") },
        { saved, pending: "Saving…", lost: "Not saved" }[kind],
      ),
      h("span.muted.ellipsis", { title: "Session file" }, state?.session.name ?? ""),
    ),
  );
});
