/** The help: the guide, and every key with a click on one to change it. */

import { chord, pretty } from "../keys.js";
import { h } from "../markup.js";
import { signal } from "../signal.js";
import { grouped } from "../panel/listing.js";
import { guide } from "./guide.js";
import { openDialog } from "./dialog.js";

const PAGES = [
  ["guide", "Guide"],
  ["keys", "Keys"],
];

export function keysDialog({ keys, project, toast }) {
  const page = signal("guide");
  const listening = signal(null); // the command whose key is asked for

  const line = ({ id, label }) => {
    const own = keys.keysOf(id).map(pretty);
    const asked = listening.value === id;
    return h(
      "div.line",
      h("span", label),
      h(
        "button",
        {
          type: "button",
          class: asked ? "listening" : undefined,
          "aria-label": `${own.join(", ") || "no key"}: change the key for ${label}`,
          dataset: { key: id },
          onclick: () => listening.set(id),
        },
        asked ? "press a key…" : own.map((key) => h("kbd", key)),
      ),
    );
  };
  const listOfKeys = () => {
    const classes = project.classes.value.filter((item) => item.key);
    return [
      h(
        "p.muted",
        "Left click includes, right click (or Alt-click) excludes. The wheel zooms; drag, the middle button or " +
          "Space-drag pan. Click a key to change it.",
      ),
      h(
        "div.keys",
        [...grouped(keys.commands, ({ group }) => group)].map(([group, commands]) =>
          h("section", h("h3", group), commands.map(line)),
        ),
        classes.length > 0 &&
          h(
            "section",
            h("h3", "Classes"),
            classes.map(({ name, colour, key }) =>
              h("div.line", h("span.row", h("span.swatch", { style: { "--colour": colour } }), name), h("kbd", key)),
            ),
          ),
      ),
    ];
  };

  function onkeydown(event) {
    if (!listening.value || ["Shift", "Control", "Alt", "Meta"].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    const loser = keys.assign(listening.value, chord(event));
    listening.set(null);
    if (loser) toast.note(`“${keys.commands.find((other) => other.id === loser).label}” no longer has that key.`);
  }

  openDialog({
    title: "Keys and help",
    wide: true,
    content: () =>
      h(
        "div.stack",
        h(
          "div.segments",
          { role: "group", "aria-label": "Help" },
          PAGES.map(([id, text]) =>
            h(
              "button",
              { type: "button", "aria-pressed": page.value === id, dataset: { help: id }, onclick: () => page.set(id) },
              text,
            ),
          ),
        ),
        page.value === "guide" ? guide(keys) : listOfKeys(),
      ),
    before: () => [
      h("button.button.quiet", { type: "button", onclick: () => keys.reset() }, "Reset all keys"),
      h("span.spacer"),
      h("a.button.quiet", { href: "docs", target: "_blank", rel: "noopener" }, "For programs: HTTP interface"),
    ],
    main: () => ["Done"],
    onkeydown,
    oncancel: (event) => listening.value && event.preventDefault(),
  });
}
