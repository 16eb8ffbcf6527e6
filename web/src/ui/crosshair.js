/**
 * Work without a mouse: a crosshair that arrow keys move over the map, and keys that click there, whatever the tool.
 */

import { mark } from "../map/marks.js";

const STEP = 24;
const FINE = 2;
const EDGE = 40;

export function createCrosshair({ stage, keys, project }) {
  const { element, map } = stage;
  const cross = mark("crosshair", { ariaHidden: "true" });
  const spoken = mark("hidden-text", { role: "status", hidden: false });
  element.append(cross, spoken);
  let at = null;

  function show([x, y]) {
    at = [x, y];
    cross.hidden = false;
    cross.style.left = `${x}px`;
    cross.style.top = `${y}px`;
    send("pointermove");
    const [px, up] = map.getCoordinateFromPixel(at) ?? [0, 0];
    spoken.textContent = `Column ${Math.floor(px)}, row ${Math.floor(-up)}`;
  }
  function hide() {
    cross.hidden = true;
    at = null;
  }

  /** A pointer event as a mouse would make it at the crosshair. */
  function send(type, more = {}) {
    const box = element.getBoundingClientRect();
    const target = map.getViewport();
    const init = {
      bubbles: true,
      cancelable: true,
      composed: true,
      pointerId: 1,
      pointerType: "mouse",
      isPrimary: true,
      clientX: box.left + at[0],
      clientY: box.top + at[1],
      ...more,
    };
    target.dispatchEvent(type === "contextmenu" ? new MouseEvent(type, init) : new PointerEvent(type, init));
  }

  function move(dx, dy, event) {
    if (!onMap() || !project.image.value) return false;
    const [width, height] = map.getSize();
    const step = event.shiftKey ? FINE : STEP;
    if (!at) {
      show([width / 2, height / 2]);
      return true;
    }
    const wanted = [at[0] + dx * step, at[1] + dy * step];
    const inside = [
      Math.min(Math.max(wanted[0], EDGE), width - EDGE),
      Math.min(Math.max(wanted[1], EDGE), height - EDGE),
    ];
    const [ox, oy] = [wanted[0] - inside[0], wanted[1] - inside[1]];
    if (ox || oy) {
      const view = map.getView();
      const resolution = view.getResolution();
      const [cx, cy] = view.getCenter();
      view.setCenter([cx + ox * resolution, cy - oy * resolution]); // at the edge the picture moves instead
    }
    show(inside);
    return true;
  }

  function click(right) {
    if (!onMap() || !project.image.value) return false;
    if (!at) show(map.getSize().map((side) => side / 2));
    const button = right ? 2 : 0;
    if (right) {
      send("contextmenu", { button });
      return true;
    }
    send("pointerdown", { button, buttons: 1 });
    send("pointerup", { button, buttons: 0 });
    return true;
  }

  const onMap = () =>
    !document.activeElement || document.activeElement === document.body || element.contains(document.activeElement);
  for (const [way, dx, dy] of [
    ["left", -1, 0],
    ["right", 1, 0],
    ["up", 0, -1],
    ["down", 0, 1],
  ])
    keys.on(`cursor.${way}`, (event) => move(dx, dy, event));
  keys.on("cursor.click", () => click(false));
  keys.on("cursor.right-click", () => click(true));
  element.addEventListener("pointermove", (event) => event.isTrusted && hide());
  return { at: () => at };
}
