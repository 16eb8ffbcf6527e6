/**
 * Click selects, a click at the same place goes on to what lies behind; Shift or Ctrl adds, Shift-drag takes all in a
 * box, a double click opens an object for more clicks.
 */

import DragBox from "ol/interaction/DragBox.js";

const SAME_PX = 4;

export function tool({ stage, project, actions }) {
  const { map, sources } = stage;
  const box = new DragBox({
    condition: ({ originalEvent }) => originalEvent.shiftKey && originalEvent.button === 0,
    className: "select-box",
    minArea: 16,
  });
  let last = null; // {pixel, time, uuid}

  box.on("boxend", () => {
    const extent = box.getGeometry().getExtent();
    const found = [];
    sources.objects.forEachFeatureIntersectingExtent(extent, (feature) => {
      if (stage.isFree(feature)) found.push(feature.getId());
    });
    project.select(found, { add: true });
  });

  /** The next object under a place that was clicked before, else the smallest there. */
  function under(pixel) {
    const found = stage.objectsAt(pixel);
    const again =
      last &&
      Math.hypot(pixel[0] - last.pixel[0], pixel[1] - last.pixel[1]) <= SAME_PX &&
      performance.now() - last.time > 400;
    const at = again ? found.findIndex((feature) => feature.getId() === last.uuid) : -1;
    return {
      feature: found[(at + 1) % Math.max(found.length, 1)],
      of: found.length,
      at: (at + 1) % Math.max(found.length, 1),
    };
  }

  const onClick = (event) => {
    const { shiftKey, ctrlKey, metaKey } = event.originalEvent;
    const { feature, of, at } = under(event.pixel);
    last = feature ? { pixel: event.pixel, time: performance.now(), uuid: feature.getId() } : null;
    if (shiftKey || ctrlKey || metaKey) {
      if (feature) project.toggle(feature.getId());
      return;
    }
    project.select(feature ? [feature.getId()] : []);
    if (of > 1) actions.say(`Object ${at + 1} of ${of} here: click again for the next.`, "stack");
  };
  const onDouble = (event) => {
    const [feature] = stage.objectsAt(event.pixel);
    if (feature) actions.reopen(feature.getId());
  };

  return {
    id: "select",
    label: "Select",
    icon: [
      "M4 4h3",
      "M11 4h3",
      "M18 4h2v2",
      "M20 10v3",
      "M4 4v3",
      "M4 11v3",
      "M4 18v2h2",
      "M10 20h2",
      "M12 11l9 3.5-4 1.5-1.5 4z",
    ],
    keys: ["v"],
    order: 20,
    shiftDrags: true,
    advice: () =>
      project.selection.value.size
        ? [
            ["", "Shift-click: more"],
            ["reopen", "go on clicking"],
            ["tool.move", "move"],
            ["tool.vertex", "corners"],
            ["delete", "delete"],
            ["merge", "combine"],
          ]
        : [
            ["", "click an object, or Shift-drag a box"],
            ["selectAll", "all"],
          ],
    start() {
      map.addInteraction(box);
      map.on("click", onClick);
      map.on("dblclick", onDouble);
      last = null;
    },
    stop() {
      map.removeInteraction(box);
      map.un("click", onClick);
      map.un("dblclick", onDouble);
    },
    cancel() {
      const had = project.selection.value.size > 0;
      project.select([]);
      return had;
    },
  };
}
