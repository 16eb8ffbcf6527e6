/** What keys and the right button do, as buttons: on a touch screen always, elsewhere where the answer is asked for. */

import { live } from "../live.js";
import { h, icon } from "../markup.js";

const TAPS = [
  [false, "plus", "Include"],
  [true, "minus", "Exclude"],
];

export function createTouchbar(context) {
  const { touched } = context.page;
  window.addEventListener("pointerdown", ({ pointerType }) => pointerType === "touch" && touched.set(true), true);
  return () => h(Bar, { ...context, touched });
}

const Bar = live(({ project, tools, clicking, actions, excluding, undo, answer, keys, touched }) => {
  const tool = tools.current.value;
  const begun = clicking.begun();
  const [proposals, reviewing, touch] = [actions.proposals.value, actions.reviewing.value, touched.value];
  const asked = proposals || reviewing || (begun && clicking.openOutline.value?.hint);
  const button = (name, text, run, dataset) => h("button.button", { onclick: run, dataset }, icon(name, 16), text);
  const parts = [
    touch && tool?.questions && h(Taps, { excluding }),
    tool?.brush && button("minus", "Smaller brush", () => keys.run("brush.smaller"), { brush: "smaller" }),
    tool?.brush && button("plus", "Larger brush", () => keys.run("brush.larger"), { brush: "larger" }),
    asked && button("check", reviewing ? "Approve" : "Yes", () => answer(true), { answer: "yes" }),
    asked && button("close", reviewing ? "Reject" : "No", () => answer(false), { answer: "no" }),
    (proposals || reviewing) &&
      button("close", proposals ? "Leave Find the rest" : "Leave review", () => keys.run("clear"), { leave: "" }),
    touch && tool?.enter && button("check", "Finish", () => tool.enter(), { finish: "" }),
    touch && begun && button("check", "Accept", () => clicking.accept(), { keep: "" }),
    touch && button("undo", "Undo", () => undo()),
  ].filter(Boolean);
  const hidden = !parts.length || !project.image.value;
  return h("div.float.touchbar", { role: "toolbar", "aria-label": "Actions", hidden }, parts);
});

const Taps = live(({ excluding }) =>
  h(
    "div.segments",
    { role: "group", "aria-label": "A tap means" },
    TAPS.map(([value, name, text]) =>
      h(
        "button",
        {
          onclick: () => excluding.set(value),
          "aria-pressed": excluding.value === value,
          dataset: { excluding: String(value) },
        },
        icon(name, 15),
        h("span", text),
      ),
    ),
  ),
);
