/** Messages in the corner: errors stay until closed, notes go by themselves. */

import { fill, h, icon } from "../dom.js";

export function createToasts(parent) {
  const box = h("div.toasts", { role: "status", "aria-live": "polite" });
  parent.append(box);

  function show(kind, text, { action, seconds }) {
    const same = [...box.children].find((toast) => toast.dataset.text === text);
    same?.remove();
    const symbol = { error: "warning", good: "check", note: "info" }[kind];
    const close = () => toast.remove();
    const toast = h(
      "div.toast",
      { class: kind, dataset: { text }, role: kind === "error" ? "alert" : undefined },
      kind === "progress" ? h("span.spinner") : icon(symbol),
      h("span.words", text),
      action && h("button.button.small", { onclick: () => (close(), action.run()) }, action.label),
      kind !== "progress" && h("button.tool", { onclick: close, "aria-label": "Close", style: { width: "22px", height: "22px" } }, icon("close", 14)),
    );
    box.append(toast);
    while (box.children.length > 4) box.firstChild.remove();
    if (seconds) setTimeout(close, seconds * 1000);
    return close;
  }

  return {
    error: (text, action) => show("error", text, { action, seconds: 14 }),
    note: (text, action) => show("note", text, { action, seconds: 5 }),
    good: (text, action) => show("good", text, { action, seconds: 4 }),
    progress: (text) => show("progress", text, {}),
    clear: () => fill(box),
  };
}
