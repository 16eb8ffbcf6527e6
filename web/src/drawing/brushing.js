/**
 * Paint onto, or erase from, the outline being clicked; with none open, the selected object or the one under the
 * brush.
 */

import Feature from "ol/Feature.js";
import MultiPolygon from "ol/geom/MultiPolygon.js";
import { brush, flip, toServer } from "../geometry.js";
import { mark } from "../map/marks.js";

export function brushTool({ stage, project, clicking, actions, toast, brushSize }, { adding, ...tool }) {
  const { map, element, sources } = stage;
  const ring = mark("brush-ring");
  let path = null;
  let target = null;
  let stroke = null;
  let stopSize = null;

  const drawRing = () => {
    const size = `${2 * brushSize.value}px`;
    ring.style.width = size;
    ring.style.height = size;
  };

  function onMove(event) {
    const box = element.getBoundingClientRect();
    ring.hidden = event.pointerType === "touch";
    ring.style.left = `${event.clientX - box.left}px`;
    ring.style.top = `${event.clientY - box.top}px`;
    if (!path) return;
    path.push(map.getEventCoordinate(event));
    show();
  }

  const radius = () => brushSize.value * map.getView().getResolution();

  function show() {
    stroke.setGeometry(new MultiPolygon(brush(path, radius(), 12)));
  }

  function onDown(event) {
    if (event.button !== 0 || stage.panningByKey || !project.image.value) return;
    const place = map.getEventCoordinate(event);
    target = clicking.begun() ? "outline" : objectFor(map.getEventPixel(event));
    if (!target) {
      toast.note(adding ? "Select the object to paint on first." : "Erase on an object, or select one first.");
      return;
    }
    if (target !== "outline") project.select([target.id]);
    element.setPointerCapture(event.pointerId);
    path = [place];
    stroke = new Feature();
    stroke.set("brush", adding ? "paint" : "erase");
    sources.sketch.addFeature(stroke);
    show();
  }

  function objectFor(pixel) {
    const selected = project.selected();
    if (selected.length === 1) return selected[0];
    const [feature] = stage.objectsAt(pixel);
    return feature ? project.objects.value.get(feature.getId()) : null;
  }

  async function onUp() {
    if (!path) return;
    const shape = brush(path, radius());
    path = null;
    const painted = stroke;
    const done = () => sources.sketch.removeFeature(painted);
    try {
      if (target === "outline")
        for (const polygon of shape) await clicking.paint({ type: "Polygon", coordinates: flip(polygon) }, adding);
      else await actions.brush(target, toServer(shape), adding);
    } catch {
      // said by a toast already
    } finally {
      done();
    }
  }

  const onLeave = () => (ring.hidden = true);

  return {
    ...tool,
    brush: true,
    clicks: true,
    dragDraws: true,
    advice: () => [
      [
        "",
        clicking.begun()
          ? adding
            ? "paint what belongs to the outline"
            : "erase what does not belong"
          : adding
            ? "paint on the selected object"
            : "erase from an object",
      ],
      ["brush.smaller", "smaller"],
      ["brush.larger", "larger"],
      ["", "Space-drag: pan"],
    ],
    start() {
      element.append(ring);
      stopSize = brushSize.on(drawRing);
      element.addEventListener("pointermove", onMove);
      element.addEventListener("pointerdown", onDown);
      element.addEventListener("pointerup", onUp);
      element.addEventListener("pointerleave", onLeave);
    },
    stop() {
      ring.remove();
      stopSize();
      element.removeEventListener("pointermove", onMove);
      element.removeEventListener("pointerdown", onDown);
      element.removeEventListener("pointerup", onUp);
      element.removeEventListener("pointerleave", onLeave);
      path = null;
    },
    cancel: () => false,
  };
}
