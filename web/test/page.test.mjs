/** What the page says and shows, worked out without a page. */

import assert from "node:assert/strict";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { test } from "node:test";
import { columnsOf, schemaOf } from "../src/dialogs/class.js";
import { h, icon } from "../src/markup.js";
import { COMMENTED, SORTS, detailText, grouped, listed, sureText } from "../src/panel/listing.js";
import { createState } from "../src/state.js";
import { scaleBar } from "../src/ui/overlay.js";
import { withMessage } from "../src/ui/toast.js";

const feature = (id, properties) => ({
  id,
  geometry: { type: "Polygon", coordinates: [] },
  properties: { class: "house", label: "", status: "accepted", area_m2: 10, attributes: {}, ...properties },
});
const ids = (features) => features.map(({ id }) => id);
const ALL = { text: "", class: "*", status: "*" };

test("the list shows what a filter lets through, whatever its case, in the order of a sort", () => {
  const barn = feature("b", { class: "barn", area_m2: 30, score: 0.2 });
  const noted = feature("n", { attributes: { comment: "look AGAIN" }, area_m2: 20, score: 0.9 });
  const plain = feature("p", { label: "Number 7", status: "rejected" });
  const all = [plain, noted, barn];
  assert.deepEqual(ids(listed(all, ALL, "largest")), ["b", "n", "p"]);
  assert.deepEqual(ids(listed(all, ALL, "unsure")), ["p", "b", "n"]);
  assert.deepEqual(ids(listed(all, { ...ALL, text: " number " }, "newest")), ["p"]);
  assert.deepEqual(ids(listed(all, { ...ALL, text: "again" }, "newest")), ["n"]);
  assert.deepEqual(ids(listed(all, { ...ALL, status: COMMENTED }, "newest")), ["n"]);
  assert.deepEqual(ids(listed(all, { ...ALL, class: "house", status: "rejected" }, "newest")), ["p"]);
});

test("no sort changes the list that it sorts, and each has words", () => {
  const all = Object.freeze([feature("a", { score: 1 }), feature("b", { score: 0 })]);
  for (const [name, [words]] of Object.entries(SORTS)) {
    assert.equal(listed(all, ALL, name).length, 2);
    assert.ok(words);
  }
});

test("an object says how it was made, and how sure a model was only where one made it", () => {
  assert.equal(detailText(feature("a", { n_clicks: 1, score: 0.5 }), false), "10.0 m² · 1 click");
  assert.equal(
    detailText(feature("a", { label: "x", model: "hand", author: "Ann" }), true),
    "house · 10.0 m² · by hand · Ann",
  );
  assert.equal(detailText(feature("a", { status: "imported", model: "import" }), false), "10.0 m² · imported");
  assert.equal(
    detailText(feature("a", { model: "terra", score: 0.7, attributes: { part_of: "abcdef" } }), false),
    "part of abcd · 10.0 m² · found",
  );
  assert.equal(sureText({ model: "hand", n_clicks: 0, score: 1 }), "");
  assert.equal(sureText({ model: "terra", n_clicks: 0, score: 0 }), "0 %");
  assert.equal(sureText({ model: "terra", n_clicks: 2, score: null }), "");
});

test("groups keep the order of first appearance", () => {
  assert.deepEqual(
    [...grouped(["ab", "c", "ad"], (word) => word[0])],
    [
      ["a", ["ab", "ad"]],
      ["c", ["c"]],
    ],
  );
});

test("of too many messages those that go by themselves go first; the same again replaces the one before", () => {
  const say = (kind, text, topic) => ({ kind, text, topic });
  const errors = ["1", "2", "3", "4"].map((text) => say("error", text));
  const full = [...errors, say("note", "n")];
  assert.deepEqual(
    withMessage(full, say("good", "g")).map(({ text }) => text),
    ["1", "2", "3", "4", "g"],
  );
  assert.deepEqual(
    withMessage([...errors, say("error", "5")], say("note", "n")).map(({ text }) => text),
    ["2", "3", "4", "5", "n"],
  );
  assert.deepEqual(
    withMessage(errors, say("error", "2")).map(({ text }) => text),
    ["1", "3", "4", "2"],
  );
  assert.deepEqual(
    withMessage([say("note", "a", "t")], say("note", "b", "t")).map(({ text }) => text),
    ["b"],
  );
});

test("columns of a class come back as they were; what is no number is no choice of a number column", () => {
  const schema = {
    roof: { type: "string", values: ["flat", "gable"] },
    floors: { type: "number" },
    used: { type: "boolean" },
  };
  assert.deepEqual(schemaOf(columnsOf(schema)), schema);
  assert.deepEqual(columnsOf(undefined), []);
  assert.deepEqual(
    schemaOf([
      { name: " n ", type: "number", values: "1, two, 3.5," },
      { name: " ", type: "string", values: "x" },
    ]),
    { n: { type: "number", values: [1, 3.5] } },
  );
});

test("the scale bar is round, about 90 pixels long, in metres or in pixels", () => {
  assert.deepEqual(scaleBar(1, 0.1), { width: 50, text: "5 m" });
  assert.deepEqual(scaleBar(100, 1), { width: 50, text: "5 km" });
  assert.deepEqual(scaleBar(0.5, undefined), { width: 40, text: "20 px" });
});

test("markup: classes of the tag come first, data- attributes from dataset, text may take the place of props", () => {
  const node = h("button.a.b", { class: "c", dataset: { tip: "t" } }, "x", icon("plus"));
  assert.equal(node.type, "button");
  assert.deepEqual([node.props.class, node.props["data-tip"], node.props.children[0]], ["a b c", "t", "x"]);
  assert.equal(h("b", "text").props.children, "text");
  assert.equal(h("div", h("b")).props.children.type, "b");
  assert.equal(h("div.only").props.class, "only");
});

test("what several files read is declared in state.js alone", () => {
  const files = (folder) =>
    readdirSync(folder).flatMap((name) => {
      const path = `${folder}/${name}`;
      return statSync(path).isDirectory() ? files(path) : [path];
    });
  const source = new URL("../src", import.meta.url).pathname;
  const own = ["/state.js", "/signal.js", "/keys.js", "/live.js", "/panel/objects.js", "/ui/overlay.js"];
  const makers = files(source).filter(
    (path) => path.endsWith(".js") && /[^.\w]signal\(/.test(readFileSync(path, "utf8")) && !path.includes("/dialogs/"),
  );
  assert.deepEqual(
    makers.map((path) => path.slice(source.length)).filter((path) => !own.includes(path)),
    [],
  );
  for (const part of Object.values(createState())) assert.ok(Object.keys(part).length > 0);
});
