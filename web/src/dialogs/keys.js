/** The help: the guide, and every key with a click on one to change it. */

import { fill, h } from "../dom.js";
import { chord, pretty } from "../keys.js";
import { guide } from "./guide.js";
import { openDialog } from "./dialog.js";

export function keysDialog({ keys, project, toast }) {
  const content = h("div.stack");
  let listening = null;

  let last = null;
  let page = "guide";
  const pages = h(
    "div.segments",
    { role: "group", "aria-label": "Help" },
    [
      ["guide", "Guide"],
      ["keys", "Keys"],
    ].map(([id, text]) =>
      h("button", { type: "button", dataset: { help: id }, onclick: () => ((page = id), draw()) }, text),
    ),
  );
  function draw() {
    for (const button of pages.children) button.setAttribute("aria-pressed", String(button.dataset.help === page));
    const groups = new Map();
    for (const act of keys.acts) groups.set(act.group, [...(groups.get(act.group) ?? []), act]);
    const classes = project.classes.value.filter((item) => item.key);
    fill(
      content,
      pages,
      page === "guide" && guide(keys),
      page === "keys" &&
        h(
          "p.muted",
          "Left click includes, right click (or Alt-click) excludes. The wheel zooms; drag, the middle button or " +
            "Space-drag pan. Click a key to change it.",
        ),
      page === "keys" &&
        h(
          "div.keys",
          [...groups].map(([group, acts]) => h("section", h("h3", group), acts.map(line))),
          classes.length > 0 &&
            h(
              "section",
              h("h3", "Classes"),
              classes.map((item) =>
                h(
                  "div.line",
                  h("span.row", h("span.swatch", { style: { "--colour": item.colour } }), item.name),
                  h("kbd", item.key),
                ),
              ),
            ),
        ),
    );
    if (last) content.querySelector(`[data-key="${last}"]`)?.focus();
  }

  const line = (act) =>
    h(
      "div.line",
      h("span", act.label),
      h(
        "button",
        {
          type: "button",
          class: listening === act.id ? "listening" : "",
          "aria-label": `${keys.keysOf(act.id).map(pretty).join(", ") || "no key"}: change the key for ${act.label}`,
          dataset: { key: act.id },
          onclick: () => ((listening = last = act.id), draw()),
        },
        listening === act.id ? "press a key…" : keys.keysOf(act.id).map((key) => h("kbd", pretty(key))),
      ),
    );

  const { element } = openDialog(
    "Keys and help",
    content,
    [
      h("button.button.quiet", { type: "button", onclick: () => (keys.reset(), draw()) }, "Reset all keys"),
      h("span.spacer"),
      h("a.button.quiet", { href: "docs", target: "_blank", rel: "noopener" }, "For programs: HTTP interface"),
      h("button.button.primary", "Done"),
    ],
    { wide: true },
  );

  element.addEventListener("keydown", (event) => {
    if (!listening || ["Shift", "Control", "Alt", "Meta"].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    const act = listening;
    listening = null;
    const loser = keys.assign(act, chord(event));
    if (loser) toast.note(`“${keys.acts.find((other) => other.id === loser).label}” no longer has that key.`);
    draw();
  });
  element.addEventListener("cancel", (event) => listening && event.preventDefault());
  draw();
}
