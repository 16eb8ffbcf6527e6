/** Messages in the corner: errors stay until closed or no longer true, notes go by themselves. */

import { live, mount } from "../live.js";
import { h, icon } from "../markup.js";

const MOST = 5;
const ICONS = { error: "warning", good: "check", note: "info" };
const stays = ({ kind }) => kind === "error" || kind === "progress";

/**
 * Messages with a new one: the same again, or the newest of one topic, takes the place of the one before; where there
 * are too many, what goes by itself makes room first, the oldest error only for newer errors.
 */
export function withMessage(messages, next) {
  const all = messages.filter(({ text, topic }) => text !== next.text && !(topic && topic === next.topic)).concat(next);
  while (all.length > MOST) {
    const passing = all.findIndex((one) => !stays(one) && one !== next);
    all.splice(Math.max(passing, 0), 1);
  }
  return all;
}

export function createToasts(parent, messages) {
  const box = Object.assign(document.createElement("div"), { className: "toasts", role: "status", ariaLive: "polite" });
  parent.append(box);
  let count = 0;

  function show(kind, text, { action, seconds, topic } = {}) {
    const message = { key: (count += 1), kind, text, action, topic };
    const close = () => messages.update((all) => all.filter((one) => one !== message));
    message.close = close;
    messages.update((all) => withMessage(all, message));
    if (seconds) setTimeout(close, seconds * 1000);
    return close;
  }
  mount(Messages, { messages }, box);

  return {
    /** Stays until it is closed, or until the function that this gives is called because it is no longer true. */
    error: (text, action) => show("error", text, { action }),
    note: (text, action, topic) => show("note", text, { action, seconds: 5, topic }),
    good: (text, action) => show("good", text, { action, seconds: 4 }),
    progress: (text, action, topic) => show("progress", text, { action, topic }),
  };
}

const Messages = live(({ messages }) =>
  messages.value.map(({ key, kind, text, action, close }) =>
    h(
      "div.toast",
      { key, class: kind, role: kind === "error" ? "alert" : undefined },
      kind === "progress" ? h("span.spinner") : icon(ICONS[kind]),
      h("span.words", text),
      action && h("button.button.small", { onclick: () => (close(), action.run()) }, action.label),
      kind !== "progress" && h("button.tool", { onclick: close, "aria-label": "Close" }, icon("close", 14)),
    ),
  ),
);
