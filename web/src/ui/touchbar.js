/** What keys and the right button do, as buttons: on a touch screen always, elsewhere where the answer is asked for. */

import { fill, h, icon } from "../dom.js";

export function createTouchbar({ project, tools, clicking, actions, excluding, brushSize, undo, answer, keys }) {
  const bar = h("div.float.touchbar", { role: "toolbar", "aria-label": "Actions" });
  const touch = window.matchMedia?.("(pointer: coarse)");
  let touched = Boolean(touch?.matches);
  window.addEventListener(
    "pointerdown",
    (event) => {
      if (event.pointerType !== "touch" || touched) return;
      touched = true;
      draw();
    },
    true,
  );

  const button = (name, text, run, extra = {}) => h("button.button", { onclick: run, ...extra }, icon(name, 16), text);
  function draw() {
    const tool = tools.current.value;
    const begun = clicking.begun();
    const asked = actions.proposals.value || actions.reviewing.value || (begun && clicking.session.value?.hint);
    const parts = [];
    if (touched && tool?.questions)
      parts.push(
        h(
          "div.segments",
          { role: "group", "aria-label": "A tap means" },
          [
            [false, "plus", "Include"],
            [true, "minus", "Exclude"],
          ].map(([value, name, text]) =>
            h(
              "button",
              {
                onclick: () => excluding.set(value),
                "aria-pressed": String(excluding.value === value),
                dataset: { excluding: String(value) },
              },
              icon(name, 15),
              h("span", text),
            ),
          ),
        ),
      );
    if (tool?.brush)
      parts.push(
        button("minus", "Smaller brush", () => keys.run("brush.smaller"), { dataset: { brush: "smaller" } }),
        button("plus", "Larger brush", () => keys.run("brush.larger"), { dataset: { brush: "larger" } }),
      );
    if (asked)
      parts.push(
        button("check", actions.reviewing.value ? "Approve" : "Yes", () => answer(true), {
          dataset: { answer: "yes" },
        }),
        button("close", actions.reviewing.value ? "Reject" : "No", () => answer(false), { dataset: { answer: "no" } }),
      );
    if (actions.proposals.value || actions.reviewing.value)
      parts.push(
        button("close", actions.proposals.value ? "Leave Find the rest" : "Leave review", () => keys.run("clear"), {
          dataset: { leave: "" },
        }),
      );
    if (touched && tools.current.value?.enter)
      parts.push(button("check", "Finish", () => tools.current.value.enter(), { dataset: { finish: "" } }));
    if (touched && begun) parts.push(button("check", "Accept", () => clicking.accept(), { dataset: { keep: "" } }));
    if (touched) parts.push(button("undo", "Undo", () => undo()));
    bar.hidden = !parts.length || !project.image.value;
    fill(bar, parts);
  }
  for (const value of [
    tools.current,
    clicking.session,
    actions.proposals,
    actions.reviewing,
    excluding,
    project.image,
    project.selection,
    brushSize,
  ])
    value.on(draw);
  return bar;
}
