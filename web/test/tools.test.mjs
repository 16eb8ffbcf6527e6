import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { COMMANDS } from "../src/keys.js";

const folder = new URL("../src/tools/", import.meta.url);
const sources = readdirSync(folder).map((name) => [name, readFileSync(new URL(name, folder), "utf8")]);

test("every tool says its icon, label, keys and order in its own file", () => {
  for (const [name, source] of sources)
    for (const field of ["id", "label", "icon", "keys", "order"])
      assert.match(source, new RegExp(`\\b${field}: `), name);
});

test("no two commands or tools share a key", () => {
  const tools = sources.map(([name, source]) => [name, JSON.parse(/\bkeys: (\[[^\]]*\])/.exec(source)[1])]);
  const all = [...COMMANDS.map(({ id, keys }) => [id, keys]), ...tools].flatMap(([id, keys]) =>
    keys.map((key) => [key, id]),
  );
  const seen = new Map();
  for (const [key, id] of all) {
    assert.ok(!seen.has(key), `${key} is of ${seen.get(key)} and of ${id}`);
    seen.set(key, id);
  }
});
