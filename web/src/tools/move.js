/** Move the selected objects by dragging them; turn them by the round handle above; arrow keys move by a pixel. */

import Feature from "ol/Feature.js";
import LineString from "ol/geom/LineString.js";
import Point from "ol/geom/Point.js";
import { boundingExtent, getCenter } from "ol/extent.js";
import { cornersOf, mapPoints, toMap, toServer } from "../geometry.js";
import { shapeOf } from "../map/shapes.js";

const HANDLE_PX = 26;
const REACH_PX = 12;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

export function tool({ stage, project, actions }) {
  const { map, element, sources } = stage;
  const ghosts = new Map();
  const handle = new Feature();
  const stem = new Feature();
  let stops = [];
  let grip = null; // {kind, from, centre, shapes}
  let nudged = null;

  const shapes = () =>
    project
      .selected()
      .filter((object) => object.geometry)
      .map((object) => [object, toMap(object.geometry)]);
  const extentOf = (all) => boundingExtent(all.flatMap(([, shape]) => cornersOf(shape)));
  const byKey = (event) => stage.panningByKey || event.button !== 0;

  function drawHandle(all = shapes()) {
    if (!all.length) {
      handle.setGeometry(undefined);
      stem.setGeometry(undefined);
      return;
    }
    const [x0, , x1, y1] = extentOf(all);
    const x = (x0 + x1) / 2;
    const up = y1 + HANDLE_PX * map.getView().getResolution();
    handle.setGeometry(new Point([x, up]));
    stem.setGeometry(
      new LineString([
        [x, y1],
        [x, up],
      ]),
    );
  }

  function show(all) {
    for (const [object, shape] of all) {
      let ghost = ghosts.get(object.id);
      if (!ghost) {
        ghost = new Feature();
        ghosts.set(object.id, ghost);
        sources.sketch.addFeature(ghost);
      }
      ghost.setGeometry(shapeOf(shape));
    }
  }
  function clear() {
    for (const ghost of ghosts.values()) sources.sketch.removeFeature(ghost);
    ghosts.clear();
    drawHandle();
  }

  /** The shapes as the grip has them when the pointer is at `to`. */
  function changed({ kind, from, centre, shapes: all }, to, { shiftKey }) {
    if (kind === "move") {
      const delta = [to[0] - from[0], to[1] - from[1]];
      if (shiftKey) delta[Math.abs(delta[0]) > Math.abs(delta[1]) ? 1 : 0] = 0; // along one axis
      return all.map(([object, shape]) => [object, mapPoints(shape, ([x, y]) => [x + delta[0], y + delta[1]])]);
    }
    const angle = ([x, y]) => Math.atan2(y - centre[1], x - centre[0]);
    const step = Math.PI / 12;
    const turn = angle(to) - angle(from);
    const by = shiftKey ? Math.round(turn / step) * step : turn;
    const [cos, sin] = [Math.cos(by), Math.sin(by)];
    return all.map(([object, shape]) => [
      object,
      mapPoints(shape, ([x, y]) => [
        centre[0] + (x - centre[0]) * cos - (y - centre[1]) * sin,
        centre[1] + (x - centre[0]) * sin + (y - centre[1]) * cos,
      ]),
    ]);
  }

  async function keep(all, label) {
    try {
      await actions.place(
        all.map(([object, shape]) => ({ object, geometry: toServer(shape) })),
        { label },
      );
    } catch {
      // said by a toast already
    } finally {
      clear();
    }
  }

  function onDown(event) {
    if (byKey(event) || !project.image.value) return;
    const place = map.getEventCoordinate(event);
    const at = handle.getGeometry()?.getCoordinates();
    const near = at && Math.hypot(at[0] - place[0], at[1] - place[1]) <= REACH_PX * map.getView().getResolution();
    if (!near) {
      const [feature] = stage.objectsAt(map.getEventPixel(event));
      if (!feature) return project.select([]);
      if (!project.selection.value.has(feature.getId())) project.select([feature.getId()], { add: event.shiftKey });
    }
    const all = shapes();
    grip = { kind: near ? "turn" : "move", from: place, centre: getCenter(extentOf(all)), shapes: all };
    element.setPointerCapture(event.pointerId);
    return undefined;
  }
  function onMove(event) {
    if (!grip) return;
    const all = changed(grip, map.getEventCoordinate(event), event);
    show(all);
    drawHandle(all);
  }
  function onUp(event) {
    if (!grip) return;
    const done = grip;
    grip = null;
    const to = map.getEventCoordinate(event);
    const moved = Math.hypot(to[0] - done.from[0], to[1] - done.from[1]) > 0.5 * map.getView().getResolution();
    if (moved) keep(changed(done, to, event), done.kind === "turn" ? "turn" : "move");
    else clear();
  }
  /** Arrow keys: one pixel of the image, ten with Shift; kept when the keys rest. */
  function onKey(event) {
    const step = ARROWS[event.key];
    if (
      !step ||
      event.ctrlKey ||
      event.metaKey ||
      event.altKey ||
      !project.selection.value.size ||
      event.target.closest?.("dialog, input, select, textarea, [role=listbox]")
    )
      return;
    event.preventDefault();
    event.stopPropagation();
    const by = event.shiftKey ? 10 : 1;
    nudged ??= { from: [0, 0], to: [0, 0], shapes: shapes() };
    nudged.to = [nudged.to[0] + step[0] * by, nudged.to[1] + step[1] * by];
    const all = changed({ kind: "move", from: nudged.from, shapes: nudged.shapes }, nudged.to, {});
    show(all);
    drawHandle(all);
    clearTimeout(nudged.timer);
    nudged.timer = setTimeout(() => {
      nudged = null;
      keep(all, "move");
    }, 450);
  }

  return {
    id: "move",
    label: "Move and turn",
    icon: [
      "M12 3v18",
      "M3 12h18",
      "M9.5 5.500L12 3l2.500 2.500",
      "M9.5 18.500L12 21l2.500-2.500",
      "M5.500 9.500L3 12l2.500 2.500",
      "M18.500 9.500L21 12l-2.500 2.500",
    ],
    keys: ["k"],
    order: 25,
    dragDraws: true,
    advice: () =>
      project.selection.value.size
        ? [
            ["", "drag: move"],
            ["", "round handle: turn"],
            ["", "arrow keys: one pixel"],
            ["", "Shift: along an axis, by 15°"],
          ]
        : [["", "drag an object to move it"]],
    start() {
      for (const feature of [stem, handle]) {
        feature.setStyle(feature === handle ? stage.styles.grip : stage.styles.stem);
        sources.sketch.addFeature(feature);
      }
      drawHandle();
      element.addEventListener("pointerdown", onDown);
      element.addEventListener("pointermove", onMove);
      element.addEventListener("pointerup", onUp);
      window.addEventListener("keydown", onKey, true);
      const redraw = () => grip || nudged || drawHandle();
      stops = [
        project.selection.on(redraw),
        project.objects.on(redraw, { now: false }),
        stage.resolution.on(redraw, { now: false }),
      ];
    },
    stop() {
      clear();
      for (const feature of [stem, handle]) sources.sketch.removeFeature(feature);
      element.removeEventListener("pointerdown", onDown);
      element.removeEventListener("pointermove", onMove);
      element.removeEventListener("pointerup", onUp);
      window.removeEventListener("keydown", onKey, true);
      stops.forEach((stop) => stop());
      grip = null;
    },
    cancel() {
      if (grip) {
        grip = null;
        clear();
        return true;
      }
      const had = project.selection.value.size > 0;
      project.select([]);
      return had;
    },
  };
}
