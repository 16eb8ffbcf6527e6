import assert from "node:assert/strict";
import { createState } from "../src/state.js";
import { test } from "node:test";
import { commentOf } from "../src/panel/listing.js";
import { lonLatOf, pairOf, toPixels } from "../src/places.js";
import { taken } from "../src/proposals.js";
import { carried, createWords, offered } from "../src/words.js";
import { signal } from "../src/signal.js";

const schema = {
  roof: { type: "string", values: ["flat", "gable"] },
  floors: { type: "number" },
  old: { type: "boolean" },
};

test("columns are offered as they were, without those that are gone or no longer allowed", () => {
  assert.deepEqual(offered(schema, { roof: "flat", floors: 2, gone: 1, old: null }), { roof: "flat", floors: 2 });
  assert.deepEqual(offered(schema, { roof: "dome" }), {});
  assert.deepEqual(offered(undefined, { roof: "flat" }), {});
});

test("what was typed wins over what is offered, for columns that the class has", () => {
  assert.deepEqual(carried(schema, { floors: 3, lanes: 2 }, { floors: 1, roof: "flat" }), { roof: "flat", floors: 3 });
});

/** A project of two classes, with the object "a" on the image. */
function projectOf() {
  const classes = { house: { schema }, road: { schema: { lanes: { type: "number" } } } };
  const [className, image, objects] = [signal("house"), signal({ id: "i" }), signal(new Map([["a", {}]]))];
  return { className, image, objects, classes: signal([]), classOf: (name) => classes[name] };
}

function withSessionStorage() {
  const kept = new Map();
  globalThis.sessionStorage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, text) => kept.set(key, text) };
}

test("parts name their whole until another image comes, and the whole does not name itself", () => {
  withSessionStorage();
  const project = projectOf();
  const words = createWords({ state: createState().words, project });
  words.whole.set("a");
  assert.deepEqual(words.said().attributes, { part_of: "a" });
  assert.deepEqual(words.said("a").attributes, {});
  project.objects.set(new Map());
  assert.deepEqual(words.said().attributes, {});
  project.image.set({ id: "j" });
  assert.equal(words.whole.value, null);
});

test("the next object of a class begins with its columns, not with its label; another class with its own", () => {
  withSessionStorage();
  const project = projectOf();
  const words = createWords({ state: createState().words, project });
  words.label.set("the mill");
  words.change("floors", 2);
  words.change("roof", null);
  assert.deepEqual(words.said(), { label: "the mill", attributes: { floors: 2 } });
  words.kept("house");
  assert.deepEqual([words.said(), words.repeated.value], [{ label: "", attributes: { floors: 2 } }, true]);
  project.className.set("road");
  assert.deepEqual(words.said().attributes, {});
  words.change("lanes", 4);
  words.kept("road");
  project.className.set("house");
  assert.deepEqual(words.said().attributes, { floors: 2 });
  words.empty();
  assert.deepEqual([words.said().attributes, words.repeated.value], [{}, false]);
});

test("places in degrees are read with signs, letters, minutes, in either order", () => {
  assert.deepEqual(lonLatOf("16.37208, 48.20849"), [16.37208, 48.20849]);
  assert.deepEqual(lonLatOf("-70.5 -33.25"), [-70.5, -33.25]);
  assert.deepEqual(lonLatOf("48.5 N, 16.25 E"), [16.25, 48.5]);
  assert.deepEqual(lonLatOf("33.5S 70.25W"), [-70.25, -33.5]);
  assert.deepEqual(lonLatOf(`48°30'00"N 16°15'0"E`), [16.25, 48.5]);
  assert.deepEqual(lonLatOf("N 48.5 E 16.25"), [16.25, 48.5]);
  for (const wrong of ["", "16", "16, 48, 3", "16, 98", "500120 4649880", "48 N 16 N", "here"])
    assert.equal(lonLatOf(wrong), null, wrong);
});

test("a pair of numbers, and an image's coordinates in its pixels", () => {
  assert.deepEqual(pairOf("500120.5 ; 4.6e6"), [500120.5, 4.6e6]);
  assert.equal(pairOf("1, 2, 3"), null);
  assert.deepEqual(toPixels({ transform: [0.5, 0, 500000, 0, -0.5, 4650000] }, [500010, 4649980]), [20, 40]);
});

test("a list of proposals keeps what was chosen for it, and leaves out what is on its way", () => {
  const items = [1, 2, 3].map((item) => ({ item, score: 1 - item / 10 }));
  const list = { id: "a", image: "town", class: "house", items, kept: 0, refused: 0 };
  const first = taken(list, null);
  assert.deepEqual([first.items.length, first.at, first.least], [3, 0, 0]);
  const next = taken(list, { ...first, least: 0.75, at: 2 }, new Set([1]));
  assert.deepEqual([next.all.map(({ item }) => item), next.items.map(({ item }) => item), next.at], [[2, 3], [2], 0]);
  assert.equal(taken({ ...list, id: "b" }, { ...first, least: 0.9 }).least, 0);
});

test("a comment is an attribute", () => {
  assert.equal(commentOf({ attributes: { comment: " x " } }), "x");
  assert.equal(commentOf({}), "");
});
