/** Tools that draw a line or an area first: an object by hand, a split, a hole. */

import Draw from "ol/interaction/Draw.js";
import Snap from "ol/interaction/Snap.js";
import { shapeOfRing, toServer, area } from "../geometry.js";

/** Corners of a drawing without the one that follows the cursor. */
const cornersOf = (geometry, type) => (type === "Polygon" ? geometry.getCoordinates()[0].slice(0, -2) : geometry.getCoordinates().slice(0, -1));

/** `sketches` keeps the corners on disk, so that leaving the tool, the image or the page loses none (see sketches.js). */
function sketchTool({ stage, sketches }, { type, finish, ...tool }) {
  const { map, sources } = stage;
  let draw = null;
  let snap = null;
  let points = 0;
  let restoring = false;

  function begin() {
    draw = new Draw({ source: undefined, type, style: stage.styles.sketchLine, stopClick: true, condition: ({ originalEvent }) => originalEvent.button === 0 && !stage.panningByKey });
    draw.on("drawstart", ({ feature }) => {
      points = 1;
      let kept = 0;
      feature.getGeometry().on("change", () => {
        points = feature.getGeometry().getCoordinates().flat(type === "Polygon" ? 1 : 0).length;
        const corners = cornersOf(feature.getGeometry(), type);
        if (corners.length === kept || draw.freehand_) return;
        kept = corners.length;
        // finishing changes the shape too, and clears `points` at once
        if (!restoring) queueMicrotask(() => points > 0 && sketches.changed(tool.id, corners));
      });
    });
    draw.on("drawend", ({ feature }) => {
      points = 0;
      const geometry = feature.getGeometry();
      setTimeout(() => sketches.finish(tool.id, () => finish(geometry.getCoordinates())));
    });
    draw.on("drawabort", () => (points = 0));
    snap = new Snap({ source: sources.objects, pixelTolerance: 8 });
    map.addInteraction(draw);
    map.addInteraction(snap);
    restore(sketches.of(tool.id));
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
    },
    cancel() {
      const had = points > 0;
      draw.abortDrawing();
      if (had) sketches.clear(tool.id);
      return had;
    },
    enter() {
      const had = points > 0;
      if (points > 2) draw.finishDrawing();
      return had;
    },
  };
}

const shapeOfDrawing = ([ring]) => {
  const shape = ring.length > 3 ? shapeOfRing(ring) : [];
  return area(shape) > 0.5 ? shape : null;
};

export const drawTool = (context) =>
  sketchTool(context, {
    id: "draw",
    label: "Draw by hand",
    icon: "draw",
    type: "Polygon",
    advice: () => [["", "click the corners, double-click to finish"], ["", "Shift: freehand"], ["undo", "last corner back"]],
    async finish(drawing) {
      const shape = shapeOfDrawing(drawing);
      if (!shape) return context.toast.note("That outline has no area.");
      await context.actions.addDrawn(toServer(shape));
    },
  });

export const holeTool = (context) =>
  sketchTool(context, {
    id: "hole",
    label: "Cut a hole",
    icon: "hole",
    type: "Polygon",
    advice: () => [["", "draw around what is to be cut out"], ["", "double-click to finish"]],
    async finish(drawing) {
      const shape = shapeOfDrawing(drawing);
      if (!shape) return context.toast.note("That hole has no area.");
      const targets = context.actions.underDrawing(drawing[0]);
      if (!targets.length) return context.toast.note("Draw the hole inside an object, or select one first.");
      for (const target of targets) await context.actions.cut(target, toServer(shape));
    },
  });

export const splitTool = (context) =>
  sketchTool(context, {
    id: "split",
    label: "Split",
    icon: "split",
    type: "LineString",
    advice: () => [["", "draw a line right through an object"], ["", "double-click to finish"]],
    async finish(line) {
      const targets = context.actions.underDrawing(line, { line: true });
      if (!targets.length) return context.toast.note("Draw the line right through an object, or select one first.");
      for (const target of targets) await context.actions.split(target, line);
    },
  });
