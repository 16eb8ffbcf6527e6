/** Move, add (drag an edge) and remove (Alt-click) vertices of the selected objects; corners snap to the neighbours. */

import Feature from "ol/Feature.js";
import MultiPolygon from "ol/geom/MultiPolygon.js";
import Collection from "ol/Collection.js";
import Modify from "ol/interaction/Modify.js";
import Snap from "ol/interaction/Snap.js";
import { altKeyOnly, click } from "ol/events/condition.js";
import { toMap, toServer } from "../geometry.js";

export function vertexTool({ stage, project, actions }) {
  const { map, sources } = stage;
  const edited = new Collection();
  let modify = null;
  let snap = null;
  let stops = [];

  /** Work on copies, so that a refused change leaves the object as it is stored. */
  function refill() {
    for (const feature of edited.getArray()) sources.sketch.removeFeature(feature);
    edited.clear();
    for (const object of project.selected()) {
      if (!object.geometry) continue;
      const feature = new Feature(new MultiPolygon(toMap(object.geometry)));
      feature.setId(object.id);
      feature.setStyle(stage.styles.vertices);
      edited.push(feature);
      sources.sketch.addFeature(feature);
    }
  }

  const onClick = (event) => {
    if (altKeyOnly(event)) return;
    const [feature] = stage.objectsAt(event.pixel);
    if (feature && !project.selection.value.has(feature.getId())) project.select([feature.getId()], { add: event.originalEvent.shiftKey });
    else if (!feature) project.select([]);
  };

  async function save(features) {
    for (const feature of features) {
      const object = project.objects.value.get(feature.getId());
      const geometry = toServer(feature.getGeometry().getCoordinates());
      if (object && JSON.stringify(geometry) !== JSON.stringify(object.geometry)) await actions.setGeometry(object, geometry).catch(() => {});
    }
    refill();
  }

  return {
    id: "vertex",
    label: "Edit vertices",
    icon: "vertex",
    advice: () =>
      project.selection.value.size
        ? [["", "drag a corner, or an edge for a new one"], ["", "Alt-click: remove it"]]
        : [["", "click the object to edit"]],
    start() {
      refill();
      modify = new Modify({
        features: edited,
        pixelTolerance: 9,
        deleteCondition: (event) => altKeyOnly(event) && click(event),
        condition: ({ originalEvent }) => originalEvent.button === 0 && !stage.panningByKey,
        style: stage.styles.handle,
      });
      let before = new Map();
      modify.on("modifystart", ({ features }) => (before = new Map(features.getArray().map((feature) => [feature, feature.getRevision()]))));
      modify.on("modifyend", ({ features }) => save(features.getArray().filter((feature) => before.get(feature) !== feature.getRevision())));
      snap = new Snap({ source: sources.objects, pixelTolerance: 8 });
      map.addInteraction(modify);
      map.addInteraction(snap);
      map.on("click", onClick);
      stops = [project.selection.on(refill, { now: false }), project.objects.on(refill, { now: false })];
    },
    stop() {
      map.removeInteraction(modify);
      map.removeInteraction(snap);
      map.un("click", onClick);
      stops.forEach((stop) => stop());
      for (const feature of edited.getArray()) sources.sketch.removeFeature(feature);
      edited.clear();
    },
    cancel() {
      const had = project.selection.value.size > 0;
      project.select([]);
      return had;
    },
  };
}
