/**
 * The one side panel: current outline, pages in tabs, and a foot that says how far things are and that they are saved.
 */

import { fill, h } from "../dom.js";
import { signal } from "../signal.js";
import { currentCard } from "./current.js";
import { objectsPage } from "./objects.js";
import { classesPage } from "./classes.js";
import { examplesPage } from "./examples.js";

export function createPanel(context) {
  const { project, actions } = context;
  const pages = [objectsPage(context), classesPage(context), examplesPage(context)];
  const shown = signal("objects");
  const tabs = h(
    "div.tabs",
    { role: "tablist" },
    pages.map((page) =>
      h(
        "button",
        { role: "tab", dataset: { page: page.id }, onclick: () => shown.set(page.id) },
        page.title,
        h("span.count"),
      ),
    ),
  );
  const drawTabs = () =>
    pages.forEach((page, i) => {
      tabs.children[i].setAttribute("aria-selected", String(page.id === shown.value));
      tabs.children[i].lastChild.textContent = page.count() || "";
      page.element.hidden = page.id !== shown.value;
    });
  for (const value of [shown, project.objects, project.classes, project.references]) value.on(drawTabs);

  actions.proposals.on((now, before) => now && !before && shown.set("examples"));
  project.selection.on((chosen) => chosen.size && !actions.proposals.value && shown.set("objects"), { now: false });

  const foot = h("div.foot");
  const drawFoot = () => {
    const objects = [...project.objects.value.values()];
    const reviewed = objects.filter(({ properties }) => ["approved", "rejected"].includes(properties.status)).length;
    const state = project.state.value;
    const { kind, at } = project.saved.value;
    const all = state?.objects ?? objects.length;
    const saved = {
      saved: at
        ? `Saved ${at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" })}`
        : "Everything saved",
      pending: "Saving…",
      lost: "Not saved",
    }[kind];
    fill(
      foot,
      h(
        "div.row",
        h(
          "span",
          h("b", objects.length),
          " here",
          project.images.value.length > 1 && [
            " · ",
            h(
              "button.link",
              { onclick: () => context.dialogs.images("work"), title: "Where the others are" },
              `${all} in all`,
            ),
          ],
        ),
        h("span", `${reviewed} of ${objects.length} reviewed`),
      ),
      h("div.meter", { style: { "--part": objects.length ? reviewed / objects.length : 0 } }, h("i")),
      h(
        "div.row",
        h(
          "span.saved",
          { class: kind, title: project.saved.value.why?.text ?? (state ? `in ${state.session.name}` : "") },
          saved,
        ),
        h("span.muted.ellipsis", { title: "Session file" }, state?.session.name ?? ""),
      ),
    );
  };
  for (const value of [project.objects, project.state, project.saved, project.images]) value.on(drawFoot);

  return {
    element: h(
      "aside.panel",
      { "aria-label": "Session" },
      currentCard(context),
      tabs,
      pages.map((page) => page.element),
      foot,
    ),
    show: (id) => shown.set(id),
    pages,
  };
}
