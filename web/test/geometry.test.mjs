import assert from "node:assert/strict";
import { test } from "node:test";
import { area, brush, shapeOfRing, toMap, toServer } from "../src/geometry.js";

const inside = (shape, x, y) =>
  shape.some((polygon) =>
    polygon.every((ring, i) => {
      let odd = false;
      for (let a = 0, b = ring.length - 1; a < ring.length; b = a++)
        if (
          ring[a][1] > y !== ring[b][1] > y &&
          x < ((ring[b][0] - ring[a][0]) * (y - ring[a][1])) / (ring[b][1] - ring[a][1]) + ring[a][0]
        )
          odd = !odd;
      return odd === (i === 0);
    }),
  );

test("a brush stroke covers its path and about its width", () => {
  const stroke = brush(
    [
      [0, 0],
      [10, 0],
      [10, 10],
    ],
    2,
  );
  assert.ok(inside(stroke, 5, 1.5) && inside(stroke, 10, 9) && !inside(stroke, 5, 2.5));
  assert.ok(Math.abs(area(stroke) - (2 * 10 * 4 - 4 + Math.PI * 4)) < 6);
});

test("a stroke that runs round leaves a hole", () => {
  const ring = Array.from({ length: 41 }, (_, i) => [
    50 + 30 * Math.cos((i * Math.PI) / 20),
    50 + 30 * Math.sin((i * Math.PI) / 20),
  ]);
  const stroke = brush(ring, 4);
  assert.equal(stroke.length, 1);
  assert.equal(stroke[0].length, 2);
  assert.ok(!inside(stroke, 50, 50));
});

test("a dab is a disk", () => {
  assert.ok(Math.abs(area(brush([[3, 4]], 10)) - Math.PI * 100) < 12);
});

test("a bow tie drawn by hand becomes its two triangles", () => {
  const shape = shapeOfRing([
    [0, 0],
    [10, 10],
    [10, 0],
    [0, 10],
  ]);
  assert.deepEqual([shape.length, area(shape)], [2, 50]);
});

test("the map counts y up, the server down", () => {
  const geometry = {
    type: "Polygon",
    coordinates: [
      [
        [0, 1],
        [2, 1],
        [2, 3],
        [0, 1],
      ],
    ],
  };
  assert.deepEqual(toMap(geometry)[0][0][1], [2, -1]);
  assert.deepEqual(toServer(toMap(geometry)), geometry);
});
