/**
 * Move, add (drag an edge) and remove corners of the selected objects. Shift-drag picks several, which then move or go
 * together. Corners snap to the neighbours, never to where they came from; borders of coverage classes move on both
 * sides.
 */

import Feature from "ol/Feature.js";
import MultiPoint from "ol/geom/MultiPoint.js";
import Collection from "ol/Collection.js";
import DragBox from "ol/interaction/DragBox.js";
import Modify from "ol/interaction/Modify.js";
import { altKeyOnly, click } from "ol/events/condition.js";
import { containsCoordinate } from "ol/extent.js";
import { cornersOf, dropped, sameShape, shifted, toMap, toServer } from "../geometry.js";
import { shapeOf } from "../map/shapes.js";
import { Snapping } from "../drawing/snapping.js";

const REACH_PX = 9;

export function tool({ stage, project, actions }) {
  const { map, sources } = stage;
  const edited = new Collection();
  const marked = new Feature();
  let modify = null;
  let snap = null;
  let box = null;
  let stops = [];
  let picked = []; // corners [x, y]
  let dragged = null; // the corner that is being dragged, where it began
  let busy = false;

  /** Work on copies, so that a refused change leaves the object as it is stored. */
  function refill() {
    for (const feature of edited.getArray()) sources.sketch.removeFeature(feature);
    edited.clear();
    for (const object of project.selected()) {
      if (!object.geometry) continue;
      const feature = new Feature(shapeOf(toMap(object.geometry)));
      feature.setId(object.id);
      feature.setStyle(stage.styles.vertices);
      edited.push(feature);
      sources.sketch.addFeature(feature);
    }
    const known = new Set(corners().map(String));
    pick(picked.filter((corner) => known.has(String(corner))));
  }

  const corners = () => edited.getArray().flatMap((feature) => cornersOf(feature.getGeometry().getCoordinates()));

  function pick(found) {
    picked = [...new Map(found.map((corner) => [String(corner), corner])).values()];
    marked.setGeometry(new MultiPoint(picked));
  }

  /** The corner of the edited objects at a place of the map, within reach. */
  function cornerAt(place) {
    const reach = REACH_PX * map.getView().getResolution();
    let best = null;
    for (const [x, y] of corners()) {
      const distance = Math.hypot(x - place[0], y - place[1]);
      if (distance <= (best?.distance ?? reach)) best = { distance, corner: [x, y] };
    }
    return best?.corner ?? null;
  }

  /** No aim for a corner: what is edited, and neighbours whose border begins where the corner came from. */
  const spared = (feature) => {
    if (project.selection.value.has(feature.getId())) return true;
    if (!dragged) return false;
    return (
      feature
        .getGeometry()
        ?.getClosestPoint(dragged)
        .every((value, axis) => Math.abs(value - dragged[axis]) < 1e-3) ?? false
    );
  };

  const onClick = (event) => {
    if (altKeyOnly(event)) return;
    const corner = cornerAt(event.coordinate);
    if (corner) {
      const { shiftKey } = event.originalEvent;
      const had = picked.some((one) => String(one) === String(corner));
      pick(shiftKey ? (had ? picked.filter((one) => String(one) !== String(corner)) : [...picked, corner]) : []);
      return;
    }
    const [feature] = stage.objectsAt(event.pixel);
    if (feature && !project.selection.value.has(feature.getId()))
      project.select([feature.getId()], { add: event.originalEvent.shiftKey });
    else if (!feature) project.select([]);
  };

  /** Keep shapes [[uuid, coordinates], …] that differ from what is stored, as one act. */
  async function save(shapes) {
    const changed = shapes
      .map(([uuid, coordinates]) => ({ object: project.objects.value.get(uuid), geometry: toServer(coordinates) }))
      .filter(({ object, geometry }) => object && !sameShape(geometry, object.geometry));
    busy = true;
    try {
      if (changed.length) await actions.place(changed, { corners: true });
    } finally {
      busy = false;
      refill();
    }
  }

  function onEnd(before, features) {
    const from = dragged;
    dragged = null;
    const to = from && movedTo(before, from);
    const moving = to && picked.some((one) => String(one) === String(from));
    const delta = moving ? [to[0] - from[0], to[1] - from[1]] : null;
    const wanted = new Set(picked.map(String));
    const shapes = delta
      ? [...before].map(([feature, coordinates]) => [
          feature.getId(),
          shifted(coordinates, (corner) => wanted.has(String(corner)), delta),
        ])
      : features.map((feature) => [feature.getId(), feature.getGeometry().getCoordinates()]);
    if (delta) picked = picked.map(([x, y]) => [x + delta[0], y + delta[1]]);
    return save(shapes);
  }

  /** Where the corner that was at `from` is now. */
  function movedTo(before, from) {
    for (const [feature, coordinates] of before) {
      const flat = cornersOf(coordinates);
      const now = cornersOf(feature.getGeometry().getCoordinates());
      if (flat.length !== now.length) continue;
      const at = flat.findIndex((corner) => String(corner) === String(from));
      if (at >= 0 && String(now[at]) !== String(from)) return now[at];
    }
    return null;
  }

  function removeCorners(which) {
    const wanted = new Set(which.map(String));
    const shapes = edited
      .getArray()
      .map((feature) => [
        feature.getId(),
        dropped(feature.getGeometry().getCoordinates(), (corner) => wanted.has(String(corner))),
      ]);
    if (shapes.some(([, coordinates]) => !coordinates.length)) return false;
    pick([]);
    save(shapes).catch(() => {});
    return true;
  }

  return {
    id: "vertex",
    label: "Edit corners",
    icon: [
      "M5 18L8 6l11 3-3 10z",
      "M6.6 4.600h2.800v2.800H6.600z",
      "M17.6 7.600h2.800v2.800h-2.800z",
      "M14.6 17.600h2.800v2.800h-2.800z",
      "M3.6 16.600h2.800v2.800H3.600z",
    ],
    keys: ["e"],
    order: 40,
    shiftDrags: true,
    advice: () =>
      project.selection.value.size
        ? [
            ["", "drag a corner, or an edge for a new one"],
            ["delete", "remove it"],
            ["", "Shift-drag: several"],
            ["", "Alt: no snapping"],
          ]
        : [["", "click the object to edit"]],
    start() {
      stage.steadiness(0.5);
      marked.setStyle(stage.styles.picked);
      sources.sketch.addFeature(marked);
      refill();
      modify = new Modify({
        features: edited,
        pixelTolerance: REACH_PX,
        deleteCondition: (event) => altKeyOnly(event) && click(event),
        condition: ({ originalEvent }) =>
          originalEvent.button === 0 && !originalEvent.shiftKey && !stage.panningByKey && !busy,
        style: stage.styles.handle,
      });
      let before = new Map();
      modify.on("modifystart", ({ features, mapBrowserEvent }) => {
        before = new Map(features.getArray().map((feature) => [feature, feature.getGeometry().getCoordinates()]));
        dragged = cornerAt(mapBrowserEvent.coordinate) ?? mapBrowserEvent.coordinate;
      });
      modify.on("modifyend", ({ features }) => onEnd(before, features.getArray()).catch(() => {}));
      box = new DragBox({
        condition: ({ originalEvent }) => originalEvent.shiftKey && originalEvent.button === 0,
        className: "select-box",
        minArea: 16,
      });
      box.on("boxend", () => {
        const extent = box.getGeometry().getExtent();
        pick([...picked, ...corners().filter((corner) => containsCoordinate(extent, corner))]);
      });
      snap = new Snapping(stage, spared);
      map.addInteraction(modify);
      map.addInteraction(box);
      map.addInteraction(snap);
      map.on("click", onClick);
      stops = [
        project.selection.on(refill, { now: false }),
        project.objects.on(() => busy || refill(), { now: false }),
      ];
    },
    stop() {
      stage.steadiness();
      for (const interaction of [modify, box, snap]) map.removeInteraction(interaction);
      map.un("click", onClick);
      stops.forEach((stop) => stop());
      for (const feature of [...edited.getArray(), marked]) sources.sketch.removeFeature(feature);
      edited.clear();
      picked = [];
      dragged = null;
    },
    cancel() {
      const had = picked.length > 0 || project.selection.value.size > 0;
      if (picked.length) pick([]);
      else project.select([]);
      return had;
    },
    /** Del removes the corners that are picked, else the one under the cursor; never the object. */
    remove() {
      const place = stage.cursor.value;
      const under = place ? cornerAt(place) : null;
      const which = picked.length ? picked : under ? [under] : [];
      if (!which.length)
        return (
          project.selection.value.size > 0 &&
          (actions.say("Point at a corner to remove it; in the Select tool, Del deletes the object."), true)
        );
      if (!removeCorners(which)) actions.say("An outline keeps at least three corners.");
      return true;
    },
  };
}
