/** Click selects, Shift or Ctrl adds, Shift-drag takes all in a box, a double click opens an object for more clicks. */

import DragBox from "ol/interaction/DragBox.js";

export function selectTool({ stage, project, actions }) {
  const { map, sources } = stage;
  const box = new DragBox({ condition: ({ originalEvent }) => originalEvent.shiftKey && originalEvent.button === 0, className: "select-box", minArea: 16 });

  box.on("boxend", () => {
    const extent = box.getGeometry().getExtent();
    const found = [];
    sources.objects.forEachFeatureIntersectingExtent(extent, (feature) => {
      found.push(feature.getId());
    });
    project.select(found, { add: true });
  });

  const onClick = (event) => {
    const [feature] = stage.objectsAt(event.pixel);
    const { shiftKey, ctrlKey, metaKey } = event.originalEvent;
    if (shiftKey || ctrlKey || metaKey) {
      if (feature) project.toggle(feature.getId());
    } else project.select(feature ? [feature.getId()] : []);
  };
  const onDouble = (event) => {
    const [feature] = stage.objectsAt(event.pixel);
    if (feature) actions.reopen(feature.getId());
  };

  return {
    id: "select",
    label: "Select",
    icon: "select",
    advice: () =>
      project.selection.value.size
        ? [["", "Shift-click: more"], ["reopen", "go on clicking"], ["tool.vertex", "vertices"], ["delete", "delete"], ["merge", "merge"]]
        : [["", "click an object, or Shift-drag a box"], ["selectAll", "all"]],
    start() {
      map.addInteraction(box);
      map.on("click", onClick);
      map.on("dblclick", onDouble);
      this.before = stage.mayPan;
      stage.mayPan = (event) => !event.originalEvent.shiftKey && this.before(event);
    },
    stop() {
      map.removeInteraction(box);
      map.un("click", onClick);
      map.un("dblclick", onDouble);
      stage.mayPan = this.before;
    },
    cancel() {
      const had = project.selection.value.size > 0;
      project.select([]);
      return had;
    },
  };
}
