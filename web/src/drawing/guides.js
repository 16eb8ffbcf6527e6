/** Angles and lengths while drawing: the next corner is held on common angles unless Alt is held; pure arithmetic. */

const HOLD_DEGREES = 4;
const STEP_DEGREES = 45;

/**
 * Where a corner goes that is drawn towards `to` after the corners in `before`: [point, angle in degrees from the last
 * edge or from the horizontal, length, whether it was held]. Edges are held on multiples of 45° to the last edge, the
 * first one on the axes; `closeTo`, the first corner, also makes the closing edge stand at a right angle.
 */
export function guided(before, to, { held = true, tolerance = Infinity } = {}) {
  const from = before.at(-1);
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
  if (!length) return { point: to, degrees: 0, length, held: false };
  const previous = before.length > 1 ? bearing(before.at(-2), from) : 0;
  const turned = bearing(from, to) - previous;
  const nearest = Math.round(turned / STEP_DEGREES) * STEP_DEGREES;
  const off = Math.abs(turned - nearest);
  const aside = length * Math.sin((off * Math.PI) / 180);
  const holds = held && off <= HOLD_DEGREES && aside <= tolerance;
  const degrees = holds ? nearest : turned;
  const angle = ((previous + degrees) * Math.PI) / 180;
  const along = holds ? length * Math.cos((off * Math.PI) / 180) : length;
  const point = holds ? [from[0] + along * Math.cos(angle), from[1] + along * Math.sin(angle)] : to;
  return {
    point: holds && before.length > 2 ? closing(before, point, previous + degrees, tolerance) : point,
    degrees: normal(degrees),
    length: along,
    held: holds,
  };
}

/** A point moved along its edge to where the closing edge meets it at a right angle, where that is near. */
function closing(before, point, degrees, tolerance) {
  const [x, y] = before.at(-1);
  const [fx, fy] = before[0];
  const ux = Math.cos((degrees * Math.PI) / 180);
  const uy = Math.sin((degrees * Math.PI) / 180);
  const along = (fx - x) * ux + (fy - y) * uy;
  const foot = [x + along * ux, y + along * uy];
  return along > 0 && Math.hypot(foot[0] - point[0], foot[1] - point[1]) <= Math.min(tolerance, Infinity)
    ? foot
    : point;
}

const bearing = ([x0, y0], [x1, y1]) => (Math.atan2(y1 - y0, x1 - x0) * 180) / Math.PI;

/** The turn at the last corner as the angle between the two edges, 0–180°. */
const normal = (degrees) => {
  const turn = Math.abs(((((degrees + 180) % 360) + 360) % 360) - 180);
  return 180 - turn;
};

/** "12.4 m" of a length in pixels of an image; "31 px" without a crs. */
export function lengthText(pixels, image) {
  const unit = image?.gsd;
  const length = pixels * (unit ?? 1);
  if (!unit) return `${Math.round(length)} px`;
  return length >= 1000 ? `${(length / 1000).toFixed(2)} km` : `${length.toFixed(length < 100 ? 1 : 0)} m`;
}
