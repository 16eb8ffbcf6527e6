/** Places as people write them, read into two numbers. */

/** 48°8'14.5"N and the like; a sign, or a letter of the compass before or after. */
const NUMBER = String.raw`[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?`;
const MINUTES = String.raw`(?:(\d+(?:\.\d+)?)\s*['′’]\s*)?`;
const SECONDS = String.raw`(?:(\d+(?:\.\d+)?)\s*["″”]\s*)?`;
const PART = new RegExp(`([NSEW])?\\s*(${NUMBER})\\s*°?\\s*${MINUTES}${SECONDS}([NSEW](?![a-z]))?`, "gi");

/** The numbers of a text such as "500120.5, 4649880.2", in their order; null unless there are two. */
export function pairOf(text) {
  const numbers = (text.match(new RegExp(NUMBER, "gi")) ?? []).map(Number);
  return numbers.length === 2 ? numbers : null;
}

/**
 * [longitude, latitude] of a text; letters of the compass say which is which, else longitude comes first. Degrees may
 * have minutes and seconds. null where it is no place on the Earth.
 */
export function lonLatOf(text) {
  const parts = [...text.matchAll(PART)].map(([, before, degrees, minutes, seconds, after]) => {
    const letter = (before ?? after ?? "").toUpperCase();
    const size = Math.abs(Number(degrees)) + Number(minutes ?? 0) / 60 + Number(seconds ?? 0) / 3600;
    const negative = degrees.startsWith("-") !== ["S", "W"].includes(letter);
    return { value: negative ? -size : size, letter };
  });
  if (parts.length !== 2) return null;
  const [first, second] = parts.map(({ letter }) => letter && ("NS".includes(letter) ? "lat" : "lon"));
  if (first && first === second) return null;
  const swapped = first === "lat" || second === "lon";
  const [lon, lat] = (swapped ? parts.reverse() : parts).map(({ value }) => value);
  return Math.abs(lon) <= 180 && Math.abs(lat) <= 90 ? [lon, lat] : null;
}

/** Coordinates of an image's own system in its pixels. */
export function toPixels({ transform: [a, b, c, d, e, f] }, [x, y]) {
  const det = a * e - b * d;
  return [(e * (x - c) - b * (y - f)) / det, (a * (y - f) - d * (x - c)) / det];
}
