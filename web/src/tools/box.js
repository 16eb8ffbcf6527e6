/**
 * A box around a thing outlines it: dragged, or set by two clicks at opposite corners (keyboard, touch). While an
 * outline is open, clicks correct it as with the click tool, and another box takes the place of the first.
 */

import PointerInteraction from "ol/interaction/Pointer.js";

/** A drag shorter than this, in pixels of the screen, is a click. */
const CLICK_PX = 6;

export function tool({ stage, project, clicking, excluding, toast }) {
  const { map, element } = stage;
  let first = null; // the corner that was set, on the map
  let pressed = null; // where the button went down, on the screen
  let second = false; // whether it went down for the second corner

  /** A place held at the edges of the image. */
  function held([x, y]) {
    const { width, height } = project.image.value;
    return [Math.min(Math.max(x, 0), width), Math.max(Math.min(y, 0), -height)];
  }

  /** The box between the first corner and another place, in pixels of the image with y down. */
  function between(place) {
    const [[ax, ay], [bx, by]] = [first, held(place)];
    return { x1: Math.min(ax, bx), y1: Math.min(-ay, -by), x2: Math.max(ax, bx), y2: Math.max(-ay, -by) };
  }

  const show = (place) => stage.showBox(between(place));
  const forget = () => {
    first = pressed = null;
    stage.showBox(clicking.openOutline.value?.box);
  };

  function finish(place) {
    const box = between(place);
    const resolution = map.getView().getResolution();
    const small = Math.min(box.x2 - box.x1, box.y2 - box.y1) < Math.max(1, CLICK_PX * resolution);
    forget();
    if (small) return toast.note("That box is too small: set two corners farther apart.");
    if (project.target.value === "class")
      return toast.note("A box is drawn around one thing: choose “This object” first.");
    return clicking.box(box);
  }

  const far = (pixel) => Math.hypot(pixel[0] - pressed[0], pixel[1] - pressed[1]) >= CLICK_PX;
  const pointer = new PointerInteraction({
    handleDownEvent({ originalEvent, pixel, coordinate }) {
      if (!project.image.value || originalEvent.button !== 0 || stage.panningByKey) return false;
      pressed = pixel;
      second = Boolean(first);
      if (!first) first = held(coordinate);
      return true;
    },
    handleDragEvent({ pixel, coordinate }) {
      if (pressed && far(pixel)) show(coordinate);
    },
    handleUpEvent({ originalEvent, pixel, coordinate }) {
      if (!pressed) return false;
      const dragged = far(pixel);
      pressed = null;
      if (dragged || second) finish(coordinate);
      else if (clicking.begun()) {
        forget();
        if (stage.isOnImage(coordinate)) clicking.click(coordinate, !originalEvent.altKey && !excluding.value);
      } else show(coordinate); // the first of two corners
      return false;
    },
    handleMoveEvent({ coordinate }) {
      if (first) show(coordinate);
    },
  });
  const onRight = (event) => {
    event.preventDefault();
    if (first) forget();
    else if (project.image.value) clicking.click(map.getEventCoordinate(event), false);
  };

  return {
    id: "box",
    label: "Box around a thing",
    icon: ["M5 6h14v12H5z", "M3 4h4v4H3z", "M17 16h4v4h-4z"],
    keys: ["Shift+b"],
    order: 15,
    clicks: true,
    questions: true,
    dragDraws: true,
    advice: () =>
      clicking.begun()
        ? [
            ["include", "click: this too"],
            ["exclude", "right: not this"],
            ["", "drag: another box"],
            ["accept", "accept"],
          ]
        : [
            ["", "drag a box around a thing"],
            ["", "or click two opposite corners"],
            ["", "Space-drag moves the picture"],
          ],
    start() {
      map.addInteraction(pointer);
      element.addEventListener("contextmenu", onRight);
    },
    stop() {
      forget();
      map.removeInteraction(pointer);
      element.removeEventListener("contextmenu", onRight);
    },
    cancel() {
      if (!first) return clicking.leave();
      forget();
      return true;
    },
  };
}
