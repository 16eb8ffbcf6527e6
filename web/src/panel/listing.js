/** Which objects the list shows, in which order, and what it says of each. */

import { lengthText } from "../drawing/guides.js";
import { area, isArea, lengthOf, toMap } from "../geometry.js";

export const COMMENT = "comment";
export const COMMENTED = "+comment"; // no state has such a name

/** What reviewers say of an object: kept among its attributes, so that every export has it as a column. */
export const commentOf = ({ attributes }) => String(attributes?.[COMMENT] ?? "").trim();

export const SORTS = {
  newest: ["Newest", (a, b) => (b.created < a.created ? -1 : 1)],
  unsure: ["Least certain", (a, b) => (a.score ?? -1) - (b.score ?? -1)],
  largest: ["Largest", (a, b) => (b.area_m2 ?? 0) - (a.area_m2 ?? 0)],
  smallest: ["Smallest", (a, b) => (a.area_m2 ?? 0) - (b.area_m2 ?? 0)],
  class: ["By class", (a, b) => a.class.localeCompare(b.class)],
  changed: ["Last changed", (a, b) => (b.updated < a.updated ? -1 : 1)],
};

/** The features that a filter {text, class, status} lets through; "*" lets all. */
export function listed(features, { text, class: name, status }, sort) {
  const wanted = text.trim().toLowerCase();
  const matches = ({ properties: p }) =>
    (name === "*" || p.class === name) &&
    (status === "*" || (status === COMMENTED ? commentOf(p) : p.status === status)) &&
    (!wanted || `${p.class} ${p.label} ${commentOf(p)}`.toLowerCase().includes(wanted));
  const [, compare] = SORTS[sort];
  return [...features].filter(matches).sort((a, b) => compare(a.properties, b.properties));
}

export const areaText = ({ area_m2, area_px }) => {
  if (area_m2 === null || area_m2 === undefined)
    return area_px === undefined ? "" : `${Math.round(area_px).toLocaleString("en")} px²`;
  if (area_m2 >= 1e7) return `${Math.round(area_m2 / 1e6).toLocaleString("en")} km²`;
  if (area_m2 >= 20000) return `${(area_m2 / 10000).toLocaleString("en", { maximumFractionDigits: 1 })} ha`;
  return area_m2 >= 100 ? `${Math.round(area_m2).toLocaleString("en")} m²` : `${area_m2.toFixed(1)} m²`;
};

/** How large an area is, how long a line; a point is called one. */
function sizeText({ geometry, properties: p }) {
  if (!geometry || isArea(geometry))
    return areaText({ ...p, area_px: p.area_m2 === null && geometry ? area(toMap(geometry)) : undefined });
  if (geometry.type.endsWith("Point")) return "point";
  return p.perimeter_m === null ? lengthText(lengthOf(toMap(geometry)), null) : lengthText(p.perimeter_m, { gsd: 1 });
}

/** How sure the model was, where a model made the outline; else "". */
export const sureText = ({ model, n_clicks, score }) =>
  (n_clicks > 0 || !["", "hand", "import", undefined, null].includes(model)) && (score ?? null) !== null
    ? `${Math.round(score * 100)} %`
    : "";

/** The second line of an object: class, whole, size, how it was made, and by whom where several work. */
export function detailText(feature, several) {
  const p = feature.properties;
  const clicked = p.n_clicks && `${p.n_clicks} ${p.n_clicks === 1 ? "click" : "clicks"}`;
  const made = clicked || (p.status === "imported" ? "imported" : sureText(p) ? "found" : "by hand");
  const part = p.attributes?.part_of && `part of ${String(p.attributes.part_of).slice(0, 4)}`;
  return [p.label && p.class, part, sizeText(feature), made, several && p.author].filter(Boolean).join(" · ");
}

/** Items by what `key` gives for them: a Map of lists, in the order of first appearance. */
export function grouped(items, key) {
  const groups = new Map();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return groups;
}
