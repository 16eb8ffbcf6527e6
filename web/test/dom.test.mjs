/** The smallest stand-in for an element that `h` needs: what was set on it can be read back. */

import assert from "node:assert/strict";
import { test } from "node:test";

const set = new Map();
const Node = (globalThis.Node = class {});
globalThis.document = {
  createElement: () =>
    Object.assign(new Node(), {
      style: { setProperty: (name, text) => set.set(name, text) },
      append() {},
      className: "",
    }),
};
const { h } = await import("../src/dom.js");

test("styles in camelCase reach the element under their CSS name, custom properties as they are", () => {
  h("div", {
    style: { alignSelf: "flex-start", borderTop: "1px solid", "--colour": "#fff", "--partWidth": "2px", width: "3px" },
  });
  assert.deepEqual(Object.fromEntries(set), {
    "align-self": "flex-start",
    "border-top": "1px solid",
    "--colour": "#fff",
    "--partWidth": "2px",
    width: "3px",
  });
});
