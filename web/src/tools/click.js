/** Left click includes, right click excludes; the outline under the cursor is shown before the first click. */

/** Clicks within this time and distance of the last are a double click, which is one click. */
const DOUBLE_MS = 350;
const DOUBLE_PX = 5;

export function tool({ stage, project, clicking, excluding }) {
  const { map, element } = stage;

  let last = null;
  const onClick = (event) => {
    if (!project.image.value || stage.panningByKey) return;
    const { pixel } = event;
    const now = performance.now();
    const second =
      last && now - last.now < DOUBLE_MS && Math.hypot(pixel[0] - last.pixel[0], pixel[1] - last.pixel[1]) < DOUBLE_PX;
    last = { pixel, now };
    if (!second) clicking.click(event.coordinate, !event.originalEvent.altKey && !excluding.value);
  };
  let moved = false;
  const onRight = (event) => {
    event.preventDefault();
    if (project.image.value) clicking.click(map.getEventCoordinate(event), false);
  };
  const onMove = (event) => {
    if (event.dragging) clicking.hovering.cancel();
    else if (stage.isOnImage(event.coordinate)) clicking.hovering.at(event.coordinate);
    moved = true;
  };
  const onLeave = () => moved && clicking.hovering.cancel();

  return {
    id: "click",
    label: "Click",
    icon: "click",
    keys: ["c"],
    order: 10,
    clicks: true,
    questions: true,
    advice: () =>
      clicking.begun()
        ? [
            ["include", "left: this too"],
            ["exclude", "right: not this"],
            ["accept", "accept"],
            ["clear", "clear"],
          ]
        : [
            ["include", project.target.value === "class" ? "click on a kind of thing" : "click on a thing"],
            ["target", project.target.value === "class" ? "only this object" : "everything like it"],
          ],
    start() {
      map.on("click", onClick);
      map.on("pointermove", onMove);
      element.addEventListener("contextmenu", onRight);
      element.addEventListener("pointerleave", onLeave);
    },
    stop() {
      map.un("click", onClick);
      map.un("pointermove", onMove);
      element.removeEventListener("contextmenu", onRight);
      element.removeEventListener("pointerleave", onLeave);
      clicking.hovering.cancel();
    },
    cancel: () => clicking.leave(),
  };
}
