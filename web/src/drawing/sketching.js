/** What tools have in common that draw a line or an area first: an object by hand, a split, a hole, a ruler. */

import Draw from "ol/interaction/Draw.js";
import LineString from "ol/geom/LineString.js";
import Polygon from "ol/geom/Polygon.js";
import { shapeOfRing, area } from "../geometry.js";
import { mark } from "../map/marks.js";
import { guided, lengthText } from "./guides.js";
import { Snapping, SNAP_PX } from "./snapping.js";

/** Corners of a drawing without the one that follows the cursor. */
const cornersOf = (geometry, type) =>
  type === "Polygon" ? geometry.getCoordinates()[0].slice(0, -2) : geometry.getCoordinates().slice(0, -1);

/** For drawings that are not kept. */
export const FORGETFUL = { of: () => [], changed() {}, clear() {}, finish: (id, work) => work() };

/**
 * `sketches` keeps the corners on disk, so that leaving the tool, the image or the page loses none (see sketches.js);
 * `drawing` names there what is half drawn. With `total` the length of the whole line is said.
 */
export function sketchTool(
  { stage, project, sketches = FORGETFUL },
  { type, finish, freehand = true, total = false, ...tool },
) {
  const { map, element } = stage;
  const measure = mark("measure");
  let draw = null;
  let snap = null;
  let points = 0;
  let restoring = false;
  let free = false;

  /** The drawing with its last corner held on a guide; says how long and at which angle the edge is. */
  function shaped(coordinates, geometry) {
    const line = type === "Polygon" ? coordinates[0] : coordinates;
    const before = line.slice(0, -1);
    if (before.length && !draw.freehand_) {
      const resolution = map.getView().getResolution();
      const guide = guided(before, line.at(-1), { held: !free && !snap.snapped_, tolerance: SNAP_PX * resolution });
      line[line.length - 1] = guide.point;
      tell(guide, before);
    }
    const ring = type === "Polygon" ? [[...line, line[0]]] : line;
    const found = geometry ?? (type === "Polygon" ? new Polygon([]) : new LineString([]));
    found.setCoordinates(line.length ? ring : []);
    return found;
  }

  function tell({ point, degrees, length, held }, before) {
    const pixel = map.getPixelFromCoordinate(point);
    if (!pixel || !length) return;
    const angle = before.length > 1 ? ` · ${Math.round(degrees)}°` : "";
    const whole =
      total && before.length > 1
        ? ` · ${lengthText(
            before.slice(1).reduce((sum, [x, y], i) => sum + Math.hypot(x - before[i][0], y - before[i][1]), length),
            project.image.value,
          )} in all`
        : "";
    measure.textContent = lengthText(length, project.image.value) + angle + whole;
    measure.classList.toggle("held", held);
    measure.style.left = `${pixel[0] + 14}px`;
    measure.style.top = `${pixel[1] + 14}px`;
    measure.hidden = false;
  }

  function begin() {
    draw = new Draw({
      source: undefined,
      type,
      style: stage.styles.sketchLine,
      stopClick: true,
      geometryFunction: type === "Point" ? undefined : shaped,
      freehandCondition: ({ originalEvent }) =>
        freehand && originalEvent.shiftKey && originalEvent.pointerType !== "touch",
      condition: ({ originalEvent }) => originalEvent.button === 0 && !stage.panningByKey,
    });
    draw.on("drawstart", ({ feature }) => {
      if (type === "Point") return;
      points = 1;
      let kept = 0;
      feature.getGeometry().on("change", () => {
        points = feature
          .getGeometry()
          .getCoordinates()
          .flat(type === "Polygon" ? 1 : 0).length;
        const corners = cornersOf(feature.getGeometry(), type);
        if (corners.length === kept || draw.freehand_) return;
        kept = corners.length;
        // finishing changes the shape too, and clears `points` at once
        if (!restoring) queueMicrotask(() => points > 0 && sketches.changed(tool.id, corners));
      });
    });
    draw.on("drawend", ({ feature }) => {
      points = 0;
      measure.hidden = true;
      const geometry = feature.getGeometry();
      setTimeout(() => sketches.finish(tool.id, () => finish(geometry.getCoordinates())));
    });
    draw.on("drawabort", () => {
      points = 0;
      measure.hidden = true;
    });
    snap = new Snapping(stage);
    map.addInteraction(draw);
    map.addInteraction(snap);
    element.append(measure);
    element.addEventListener("pointermove", onMove, true);
    element.addEventListener("contextmenu", onRight);
    restore(sketches.of(tool.id));
  }

  const onMove = (event) => (free = event.altKey);
  /** A right click ends the drawing at the last corner that was set. */
  const onRight = (event) => {
    event.preventDefault();
    end();
  };

  function end() {
    const had = points > 0;
    const least = type === "Polygon" ? 4 : 3; // with the corner that follows the cursor, and the closing one
    if (points > least - (type === "Polygon" ? 0 : 1)) {
      draw.finishDrawing();
    }
    return had;
  }

  /** Go on with corners that were drawn before; none clear the drawing. */
  function restore(corners) {
    restoring = true;
    try {
      draw.abortDrawing();
      if (corners.length) draw.appendCoordinates(corners.map((corner) => [...corner]));
    } finally {
      restoring = false;
    }
  }

  return {
    ...tool,
    restore,
    start: begin,
    stop() {
      map.removeInteraction(draw);
      map.removeInteraction(snap);
      element.removeEventListener("pointermove", onMove, true);
      element.removeEventListener("contextmenu", onRight);
      measure.remove();
    },
    cancel() {
      const had = points > 0;
      draw.abortDrawing();
      if (had) sketches.clear(tool.id);
      return had;
    },
    enter: end,
    /** Del takes the last corner back. */
    remove() {
      if (!points) return false;
      draw.removeLastPoint();
      return true;
    },
  };
}

/** The area that a drawn ring encloses; null without any. */
export const shapeOfDrawing = ([ring]) => {
  const shape = ring.length > 3 ? shapeOfRing(ring) : [];
  return area(shape) > 0.5 ? shape : null;
};

export const HOW = [
  ["", "Right click or Enter ends it"],
  ["", "Alt: no snapping"],
  ["undo", "last corner back"],
];
