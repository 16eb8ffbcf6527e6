import assert from "node:assert/strict";
import { test } from "node:test";
import { createHistory } from "../src/history.js";
import { latest, signal } from "../src/signal.js";

test("acts and undo wait for their turn; undo says when nothing is left", async () => {
  const log = [];
  const api = {
    undo: async () => {
      log.push("undo");
      return { act: "undo draw" };
    },
    redo: async () => {
      throw Object.assign(new Error("nothing"), { status: 404, kind: "UnknownName" });
    },
  };
  const history = createHistory({ api, turned: (change, verb) => log.push(`${verb} ${change.act}`) });
  const slow = history.inOrder(async () => {
    await new Promise((done) => setTimeout(done, 10));
    log.push("act");
  });
  const undone = history.undo();
  await slow;
  assert.equal((await undone).act, "undo draw");
  assert.equal(await history.redo(), null);
  assert.deepEqual(log, ["act", "undo", "undo undo draw"]);
});

test("an act that fails lets the next one run; an undo that fails says why", async () => {
  const errors = [];
  const api = {
    undo: async () => {
      throw Object.assign(new Error("changed"), { status: 409, kind: "Conflict" });
    },
  };
  const history = createHistory({ api, onError: (error) => errors.push(error.message) });
  await assert.rejects(history.inOrder(() => Promise.reject(new Error("no"))));
  assert.equal(await history.undo(), undefined);
  assert.deepEqual(errors, ["changed"]);
});

test("what a job asks of the server belongs to the act in which it was asked for", async () => {
  const caller = { act: "", running: "" };
  const history = createHistory({ api: {}, caller });
  const seen = [];
  const before = history.inOrder(async () => seen.push(caller.running));
  caller.act = "one";
  const within = history.inOrder(async () => seen.push(caller.running));
  caller.act = "";
  await Promise.all([before, within, history.inOrder(async () => seen.push(caller.running))]);
  assert.equal(seen[1], "one");
  assert.equal(new Set(seen).size, 3);
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
  const run = latest(async (n) => {
    seen.push(n);
    await new Promise((done) => setTimeout(done, 5));
  });
  run(1);
  run(2);
  run(3);
  await new Promise((done) => setTimeout(done, 40));
  assert.deepEqual(seen, [1, 3]);
});
