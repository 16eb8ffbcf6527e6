/** Messages in the corner: errors stay until closed or no longer true, notes go by themselves. */

import { h, icon } from "../dom.js";

export function createToasts(parent) {
  const box = h("div.toasts", { role: "status", "aria-live": "polite" });
  parent.append(box);

  function show(kind, text, { action, seconds, topic = "" }) {
    // the same again, or the newest of one topic, takes the place of the one before
    for (const one of [...box.children])
      if (one.dataset.text === text || (topic && one.dataset.topic === topic)) one.remove();
    const symbol = { error: "warning", good: "check", note: "info" }[kind];
    const close = () => toast.remove();
    const toast = h(
      "div.toast",
      { class: kind, dataset: { text, kind, topic }, role: kind === "error" ? "alert" : undefined },
      kind === "progress" ? h("span.spinner") : icon(symbol),
      h("span.words", text),
      action && h("button.button.small", { onclick: () => (close(), action.run()) }, action.label),
      kind !== "progress" &&
        h(
          "button.tool",
          { onclick: close, "aria-label": "Close", style: { width: "22px", height: "22px" } },
          icon("close", 14),
        ),
    );
    box.append(toast);
    // what goes by itself makes room first; the oldest error only for newer errors
    while (box.children.length > 5)
      (
        [...box.children].find((one) => !["error", "progress"].includes(one.dataset.kind) && one !== toast) ??
        box.firstChild
      ).remove();
    if (seconds) setTimeout(close, seconds * 1000);
    return close;
  }

  return {
    /** Stays until it is closed, or until the function that this gives is called because it is no longer true. */
    error: (text, action) => show("error", text, { action }),
    note: (text, action, topic) => show("note", text, { action, seconds: 5, topic }),
    good: (text, action) => show("good", text, { action, seconds: 4 }),
    progress: (text, action, topic) => show("progress", text, { action, topic }),
  };
}
