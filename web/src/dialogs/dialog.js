/** A modal sheet with a title, content and a foot; Esc closes it, focus stays inside and goes back afterwards. */

import { h, icon } from "../dom.js";

/**
 * openDialog("Export", content, [buttons], {wide, submit}) → {close, element}. `submit` runs on Enter or the main
 * button.
 */
export function openDialog(title, content, buttons = [], { wide = false, submit } = {}) {
  const close = () => dialog.close();
  const dialog = h(
    "dialog",
    { class: wide ? "wide" : "", "aria-label": title },
    h(
      "form",
      {
        method: "dialog",
        onsubmit: async (event) => {
          event.preventDefault();
          if (!submit) return close();
          const main = dialog.querySelector("footer .primary");
          if (main?.disabled) return undefined;
          if (main) main.disabled = true;
          try {
            if (await submit()) close();
          } finally {
            if (main) main.disabled = false;
          }
          return undefined;
        },
      },
      h(
        "header",
        h("h2", title),
        h("button.tool", { type: "button", onclick: close, "aria-label": "Close" }, icon("close")),
      ),
      h("div.content", content),
      buttons.length > 0 && h("footer", buttons),
    ),
  );
  // messages are shown above the dialog, not behind it, and go back where they were
  const messages = document.querySelector(".toasts");
  const home = messages?.parentElement;
  dialog.addEventListener("close", () => {
    if (messages?.parentElement === dialog) (home?.isConnected ? home : document.body).append(messages);
    dialog.remove();
  });
  // a click beside it closes it, but not a drag of text that ends there
  let beside = false;
  dialog.addEventListener("pointerdown", (event) => (beside = event.target === dialog));
  dialog.addEventListener("click", (event) => beside && event.target === dialog && close());
  document.body.append(dialog);
  dialog.showModal();
  if (messages) dialog.append(messages);
  (dialog.querySelector(".content input:not([type=radio]):not([hidden]), footer .primary") ?? dialog).focus({
    preventScroll: true,
  });
  return { close, element: dialog };
}

export const field = (label, control, note) => h("label.field", h("span", label), control, note && h("small", note));

/** Ask before what cannot be undone; resolves to true or false. */
export function confirmDialog(title, text, verb) {
  return new Promise((resolve) => {
    let answer = false;
    const cancel = h(
      "button.button.quiet",
      { type: "button", onclick: (event) => event.target.closest("dialog").close() },
      "Cancel",
    );
    const { element } = openDialog(title, h("p", text), [cancel, h("button.button.primary", verb)], {
      submit: () => (answer = true),
    });
    element.addEventListener("close", () => resolve(answer));
  });
}
