/** Left click includes, right click excludes; the outline under the cursor is shown before the first click. */

export function clickTool({ stage, project, clicking }) {
  const { map, element } = stage;

  const onClick = (event) => {
    if (project.image.value && !stage.panningByKey) clicking.click(event.coordinate, !event.originalEvent.altKey);
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
    advice: () =>
      clicking.begun()
        ? [["include", "left: this too"], ["exclude", "right: not this"], ["accept", "accept"], ["clear", "clear"]]
        : [["include", project.target.value === "class" ? "click on a kind of thing" : "click on a thing"], ["target", project.target.value === "class" ? "only this object" : "everything like it"]],
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
