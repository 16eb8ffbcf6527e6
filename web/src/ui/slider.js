/** A range with its name and its value in words. */

import { h } from "../markup.js";

export const Slider = ({ label, min = 0, max = 100, step = 1, value, show = String, change, off }) =>
  h(
    "label.slider",
    { class: off ? "off" : "" },
    h("span", label),
    h("output", show(value)),
    h("input", {
      type: "range",
      ...{ min, max, step, value },
      "aria-label": label,
      oninput: ({ target }) => change(Number(target.value)),
    }),
  );
