/** A modal sheet with a title, content and a foot; Esc closes it, focus stays inside and goes back afterwards. */

import { live, mount } from "../live.js";
import { h, icon } from "../markup.js";
import { signal } from "../signal.js";

/**
 * openDialog({title, content, main, …}) → close. `content` and `before` (what stands left in the foot) are functions
 * that give what is drawn, `main` gives [text, …] of the main button, with props first where it has any, `leave` is the
 * word of the button that only closes. `submit` runs on Enter or the main button and gives whether to close.
 */
export function openDialog({ closed, ...parts }) {
  const host = document.createElement("div");
  document.body.append(host);
  const close = () => host.firstChild?.close();
  const gone = mount(Sheet, { ...parts, close, working: signal(false) }, host);
  const dialog = host.firstChild;
  // messages are shown above the dialog, not behind it, and go back where they were
  const messages = document.querySelector(".toasts");
  const home = messages?.parentElement;
  dialog.addEventListener("close", () => {
    if (messages?.parentElement === dialog) (home?.isConnected ? home : document.body).append(messages);
    gone();
    host.remove();
    closed?.();
  });
  dialog.showModal();
  if (messages) dialog.append(messages);
  (dialog.querySelector(".content input:not([type=radio]):not([hidden]), footer .primary") ?? dialog).focus({
    preventScroll: true,
  });
  return close;
}

function Sheet({ title, wide, content, before = () => null, leave, main, submit, close, working, ...on }) {
  async function onsubmit(event) {
    event.preventDefault();
    if (!submit) return close();
    if (working.value || main()[0]?.disabled) return undefined;
    working.set(true);
    try {
      if (await submit()) close();
    } finally {
      working.set(false);
    }
    return undefined;
  }
  // a click beside it closes it, but not a drag of text that ends there
  let beside = false;
  return h(
    "dialog",
    {
      class: wide ? "wide" : undefined,
      "aria-label": title,
      onpointerdown: (event) => (beside = event.target === event.currentTarget),
      onclick: (event) => beside && event.target === event.currentTarget && close(),
      ...on,
    },
    h(
      "form",
      { method: "dialog", onsubmit },
      h(
        "header",
        h("h2", title),
        h("button.tool", { type: "button", onclick: close, "aria-label": "Close" }, icon("close")),
      ),
      h("div.content", h(Drawn, { draw: content })),
      h(
        "footer",
        h(Drawn, { draw: before }),
        leave && h("button.button.quiet", { type: "button", onclick: close }, leave),
        h(Main, { main, working }),
      ),
    ),
  );
}

const Drawn = live(({ draw }) => draw());

const Main = live(({ main, working }) => {
  const [first, ...rest] = main();
  const props = first?.constructor === Object ? first : {};
  const words = props === first ? rest : [first, ...rest];
  return h("button.button.primary", { ...props, disabled: working.value || Boolean(props.disabled) }, words);
});

export const field = (label, control, note) => h("label.field", h("span", label), control, note && h("small", note));

/** A list of [value, text]; a third entry, where true, says that it cannot be chosen. */
export const choice = (choices, props) =>
  h(
    "select",
    props,
    choices.map(([value, text, disabled = false]) => h("option", { value, disabled }, text)),
  );

/** Ask before what cannot be undone; resolves to true or false. */
export function confirmDialog(title, text, verb) {
  return new Promise((resolve) => {
    let answer = false;
    openDialog({
      title,
      content: () => h("p", text),
      leave: "Cancel",
      main: () => [verb],
      submit: () => (answer = true),
      closed: () => resolve(answer),
    });
  });
}
