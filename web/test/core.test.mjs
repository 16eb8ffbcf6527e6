import assert from "node:assert/strict";
import { test } from "node:test";
import { createHistory } from "../src/history.js";
import { latest, signal } from "../src/signal.js";

test("undo takes back acts newest first and redo brings them again", async () => {
  const history = createHistory();
  let text = "";
  for (const letter of "abc")
    await history.perform({ label: letter, redo: () => (text += letter), undo: () => (text = text.slice(0, -1)) });
  await history.undo();
  await history.undo();
  assert.equal(text, "a");
  await history.redo();
  assert.equal(text, "ab");
  assert.deepEqual(history.state.value, { undo: "b", redo: "c", busy: false });
});

test("an act that fails is not remembered; an undo that fails can be tried again", async () => {
  const errors = [];
  const history = createHistory({ onError: (error) => errors.push(error.message) });
  await assert.rejects(history.perform({ label: "x", redo: () => Promise.reject(new Error("no")), undo() {} }));
  assert.equal(history.length, 0);
  let broken = true;
  history.push({ label: "y", redo() {}, undo: () => { if (broken) throw new Error("later"); } });
  await history.undo();
  assert.deepEqual([errors, history.length], [["later"], 1]);
  broken = false;
  await history.undo();
  assert.equal(history.length, 0);
});

test("a signal tells changes and keeps quiet about none", () => {
  const heard = [];
  const value = signal(1);
  value.on((now) => heard.push(now));
  value.set(1);
  value.set(2);
  assert.deepEqual(heard, [1, 2]);
});

test("of many calls during slow work only the newest runs afterwards", async () => {
  const seen = [];
  const run = latest(async (n) => { seen.push(n); await new Promise((done) => setTimeout(done, 5)); });
  run(1); run(2); run(3);
  await new Promise((done) => setTimeout(done, 40));
  assert.deepEqual(seen, [1, 3]);
});
