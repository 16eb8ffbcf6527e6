/**
 * Small polygon arithmetic on coordinates [polygon][ring][point][x, y]; the server does the rest (merge, split, cut).
 */

import { union } from "polyclip-ts";

export const flip = (coordinates) =>
  typeof coordinates[0] === "number" ? [coordinates[0], -coordinates[1]] : coordinates.map(flip);

/** How deep coordinates are nested: 2 for points, 3 for lines, 4 for areas. */
export const depthOf = (coordinates) => (Array.isArray(coordinates) ? 1 + depthOf(coordinates[0]) : 0);
/** Every corner of the parts of a shape. */
export const cornersOf = (shape) => shape.flat(depthOf(shape) - 2);
const NAMES = { 2: "Point", 3: "LineString", 4: "Polygon" };
export const isArea = (geometry) => Boolean(geometry?.type.endsWith("Polygon"));

/** A geometry of the server (y down) → a list of its parts, coordinates of the map (y up), and back. */
export const toMap = (geometry) =>
  flip(geometry.type.startsWith("Multi") ? geometry.coordinates : [geometry.coordinates]);
export const toServer = (shape) => {
  const name = NAMES[depthOf(shape)] ?? "Polygon";
  return shape.length === 1
    ? { type: name, coordinates: flip(shape[0]) }
    : { type: `Multi${name}`, coordinates: flip(shape) };
};

export function ringArea(ring) {
  let sum = 0;
  for (let i = 0; i < ring.length - 1; i++) sum += ring[i][0] * ring[i + 1][1] - ring[i + 1][0] * ring[i][1];
  return sum / 2;
}

export const area = (shape) => (depthOf(shape) < 4 ? 0 : areaOf(shape));

const areaOf = (shape) =>
  shape.reduce(
    (sum, [outer, ...holes]) =>
      sum + Math.abs(ringArea(outer)) - holes.reduce((all, ring) => all + Math.abs(ringArea(ring)), 0),
    0,
  );

const closed = (ring) => {
  const [first, last] = [ring[0], ring.at(-1)];
  return first[0] === last[0] && first[1] === last[1] ? ring : [...ring, first];
};

/** A ring drawn by hand → shape; one that crosses itself becomes its parts, dust goes. */
export const shapeOfRing = (ring) => union([closed(ring)]).filter((polygon) => area([polygon]) > 0.05);

/** What a round brush of `radius` covers when it is drawn along `path`: the union of many-cornered capsules. */
export function brush(path, radius, corners = 20) {
  const points = thin(path, radius / 6);
  if (points.length === 1) return [[capsule(points[0], points[0], radius, corners)]];
  const pieces = points.slice(1).map((point, i) => [[capsule(points[i], point, radius, corners)]]);
  return union(pieces[0], ...pieces.slice(1));
}

function capsule([x0, y0], [x1, y1], radius, corners) {
  const along = Math.atan2(y1 - y0, x1 - x0);
  const ring = [];
  const half = (x, y, from) => {
    for (let i = 0; i <= corners / 2; i++) {
      const angle = from + (Math.PI * i) / (corners / 2);
      ring.push([round(x + radius * Math.cos(angle)), round(y + radius * Math.sin(angle))]);
    }
  };
  half(x1, y1, along - Math.PI / 2);
  half(x0, y0, along + Math.PI / 2);
  return closed(ring);
}

const round = (value) => Math.round(value * 1e4) / 1e4;

/** Leave out points of a path that are nearer than `step` to the last one kept; the ends stay. */
export function thin(path, step) {
  const kept = [path[0]];
  for (const point of path.slice(1)) if (distance(point, kept.at(-1)) >= step) kept.push(point);
  const last = path.at(-1);
  if (kept.at(-1) !== last && distance(last, kept.at(-1)) > 1e-6) kept.push(last);
  return kept;
}

const distance = ([x0, y0], [x1, y1]) => Math.hypot(x1 - x0, y1 - y0);

/** The length of a line on the map, in pixels of the image; 0 for anything else. */
export const lengthOf = (shape) =>
  depthOf(shape) === 3
    ? shape.reduce((sum, line) => sum + line.slice(1).reduce((all, point, i) => all + distance(point, line[i]), 0), 0)
    : 0;

/** Every point of nested coordinates through `change`. */
export const mapPoints = (coordinates, change) =>
  typeof coordinates[0] === "number" ? change(coordinates) : coordinates.map((part) => mapPoints(part, change));

/** A shape whose corners that are `wanted` lie `delta` further on; the closing point of a ring goes with its first. */
export const shifted = (shape, wanted, [dx, dy]) =>
  mapPoints(shape, (corner) => (wanted(corner) ? [corner[0] + dx, corner[1] + dy] : corner));

/** A shape without the corners that are `unwanted`; holes and parts of fewer than three corners go, none left is []. */
export function dropped(shape, unwanted) {
  const depth = depthOf(shape);
  if (depth === 2) return shape.filter((corner) => !unwanted(corner));
  if (depth === 3)
    return shape.map((line) => line.filter((corner) => !unwanted(corner))).filter((line) => line.length > 1);
  const rings = (polygon) =>
    polygon.map((ring) => {
      const open = ring.slice(0, -1).filter((corner) => !unwanted(corner));
      return open.length < 3 ? null : [...open, open[0]];
    });
  return shape
    .map(rings)
    .filter(([outer]) => outer)
    .map((polygon) => polygon.filter(Boolean));
}

/** Whether two geometries of the server have the same corners, but for rounding. */
export function sameShape(one, other) {
  const [a, b] = [one, other].map((geometry) => geometry.coordinates.flat(Infinity));
  return one.type === other.type && a.length === b.length && a.every((value, i) => Math.abs(value - b[i]) < 1e-6);
}

/** The four edges of bounds [x0, y0, x1, y1] as a polygon; none of nothing. */
export function frameOf(bounds) {
  if (!bounds) return null;
  const [x0, y0, x1, y1] = bounds;
  const corners = [
    [x0, y0],
    [x1, y0],
    [x1, y1],
    [x0, y1],
  ];
  return { type: "Polygon", coordinates: [[...corners, corners[0]]] };
}
