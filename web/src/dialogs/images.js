/**
 * All images of the session: search, filter by how far they are, say that one is done; what lies on others is here
 * too.
 */

import { fill, h, icon } from "../dom.js";
import { debounce } from "../signal.js";
import { openDialog } from "./dialog.js";

const MOST = 300;
const STATES = { untouched: "Untouched", work: "In work", done: "Done" };

export function imagesDialog({ project, actions }, wanted = "*") {
  const search = h("input", {
    type: "search",
    placeholder: "Search by name",
    "aria-label": "Search images",
    oninput: debounce(() => draw(), 80),
  });
  const state = h(
    "select",
    { "aria-label": "State", onchange: () => draw() },
    h("option", { value: "*" }, "All states"),
    Object.entries(STATES).map(([value, text]) => h("option", { value, selected: value === wanted }, text)),
  );
  const list = h("div.list", { role: "list", style: { "max-height": "46vh", overflow: "auto" } });
  const sum = h("p.muted");

  const { element, close } = openDialog(
    "Images",
    [h("div.row", h("div.grow", search), state), sum, list],
    [h("button.button.primary", { type: "submit" }, "Close")],
    { wide: true },
  );

  function draw() {
    const text = search.value.trim().toLowerCase();
    const images = project.images.value;
    const found = images.filter(
      (image) =>
        (state.value === "*" || image.state === state.value) && (!text || image.name.toLowerCase().includes(text)),
    );
    const count = (value) => images.filter((image) => image.state === value).length;
    sum.textContent = [
      `${found.length} of ${images.length} shown`,
      `${count("untouched")} untouched, ${count("work")} in work, ${count("done")} done`,
      `${images.reduce((all, image) => all + image.objects, 0)} objects in all`,
    ].join(" · ");
    fill(
      list,
      found.slice(0, MOST).map(row),
      found.length > MOST && h("p.muted", `and ${found.length - MOST} more: search for them by name.`),
      !found.length && h("p.muted", "No image fits."),
    );
  }
  const row = (image) =>
    h(
      "div.row",
      { role: "listitem", dataset: { image: image.id }, style: { padding: "3px 0" } },
      h(
        "button.button.small.grow",
        {
          type: "button",
          "aria-current": image.id === project.image.value?.id ? "true" : undefined,
          style: { "justify-content": "flex-start", "min-width": 0 },
          onclick: () => (project.showImage(image.id), close()),
        },
        icon("image", 14),
        h("span.ellipsis", image.name),
      ),
      h(
        "span.muted",
        { style: { width: "13em", "text-align": "right" } },
        `${STATES[image.state] ?? image.state} · ${image.objects} ${image.objects === 1 ? "object" : "objects"}`,
      ),
      h(
        "label.check",
        h("input", {
          type: "checkbox",
          checked: image.state === "done",
          "aria-label": `${image.name} is done`,
          onchange: (event) => mark(image, event.target.checked),
        }),
        "done",
      ),
    );
  const mark = (image, done) =>
    actions
      .markImage(image, done ? "done" : "")
      .catch(() => {})
      .then(() => project.refreshState(0));

  const stop = project.images.on(draw);
  element.addEventListener("close", stop);
  search.focus();
}
