/**
 * All images of the session: search, filter by how far they are, say that one is done; what lies on others is here
 * too.
 */

import { bound, live } from "../live.js";
import { h, icon } from "../markup.js";
import { signal } from "../signal.js";
import { choice, openDialog } from "./dialog.js";

const MOST = 300;
const STATES = { untouched: "Untouched", work: "In work", done: "Done" };

const objectsText = (count) => `${count} ${count === 1 ? "object" : "objects"}`;

export function imagesDialog(context, wanted = "*") {
  const form = signal({ text: "", state: wanted });
  const close = openDialog({
    title: "Images",
    wide: true,
    content: () => h(Images, { ...context, form, close: () => close() }),
    main: () => ["Close"],
  });
}

const Images = live(({ form, ...context }) => {
  const { state } = form.value;
  const text = form.value.text.trim().toLowerCase();
  const images = context.project.images.value;
  const found = images.filter(
    (image) => (state === "*" || image.state === state) && (!text || image.name.toLowerCase().includes(text)),
  );
  const count = (value) => images.filter((image) => image.state === value).length;
  const sum = [
    `${found.length} of ${images.length} shown`,
    `${count("untouched")} untouched, ${count("work")} in work, ${count("done")} done`,
    `${objectsText(images.reduce((all, image) => all + image.objects, 0))} in all`,
  ];
  return [
    h(
      "div.row",
      h(
        "div.grow",
        h("input", {
          type: "search",
          placeholder: "Search by name",
          "aria-label": "Search images",
          ...bound(form, "text"),
        }),
      ),
      choice([["*", "All states"], ...Object.entries(STATES)], { "aria-label": "State", ...bound(form, "state") }),
    ),
    h("p.muted", sum.join(" · ")),
    h(
      "div.list.images",
      { role: "list" },
      found.slice(0, MOST).map((image) => h(Row, { key: image.id, image, ...context })),
      found.length > MOST && h("p.muted", `and ${found.length - MOST} more: search for them by name.`),
      !found.length && h("p.muted", "No image fits."),
    ),
  ];
});

const Row = live(({ image, project, actions, close }) => {
  const mark = ({ target }) =>
    actions
      .markImage(image, target.checked ? "done" : "")
      .catch(() => {})
      .then(() => project.refreshState(0));
  return h(
    "div.row",
    { role: "listitem", dataset: { image: image.id } },
    h(
      "button.button.small.grow",
      {
        type: "button",
        "aria-current": image.id === project.image.value?.id ? "true" : undefined,
        onclick: () => (project.showImage(image.id), close()),
      },
      icon("image", 14),
      h("span.ellipsis", image.name),
    ),
    h("span.muted", `${STATES[image.state] ?? image.state} · ${objectsText(image.objects)}`),
    h(
      "label.check",
      h("input", {
        type: "checkbox",
        checked: image.state === "done",
        "aria-label": `${image.name} is done`,
        onchange: mark,
      }),
      "done",
    ),
  );
});
