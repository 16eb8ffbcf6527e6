/** What keys do. Their names, letters and groups are in keys.js and in the tools. */

export function handleKeys(context) {
  const { project, stage, clicking, actions, tools, keys, display, dialogs, toast, brushSize, excluding } = context;
  const { element } = stage;
  project.classes.on((classes) => {
    keys.clearClasses();
    for (const item of classes)
      if (item.key)
        keys.onClass(
          item.key,
          () => (chosenNow() ? actions.relabel(item.name) : undefined, project.className.set(item.name)),
        );
  });

  /**
   * Keys change the selection only where it is what the hand is about: not while clicking a new outline, nor over an
   * open one.
   */
  const chosenNow = () =>
    project.selection.value.size > 0 && !clicking.begun() && !tools.is("click") && !tools.current.value?.restore;

  const onMap = () =>
    !document.activeElement || document.activeElement === document.body || element.contains(document.activeElement);
  for (const tool of tools.list) keys.on(`tool.${tool.id}`, () => tools.use(tool.id));
  keys.on("accept", () => {
    if (tools.current.value?.enter?.()) return undefined;
    if (clicking.begun()) return clicking.accept();
    return actions.proposals.value ? actions.decideCurrent(true) : false;
  });
  keys.on("clear", () => {
    if (tools.current.value?.cancel?.()) return;
    if (actions.closeProposals()) return;
    actions.reviewing.set(false);
    project.select([]);
    tools.use("click");
  });
  /** Tab goes through the page for whoever goes by keys; with the mouse in hand it is the key of the target. */
  let byPointer = false;
  window.addEventListener("pointerdown", () => (byPointer = true), true);
  window.addEventListener("keydown", (event) => event.key === "Tab" && event.shiftKey && (byPointer = false), true);
  keys.on("target", () =>
    onMap() && byPointer ? project.target.set(project.target.value === "object" ? "class" : "object") : false,
  );
  keys.on("hint", () => {
    const hint = clicking.openOutline.value?.hint;
    if (hint) stage.centreOn([hint.x, -hint.y]);
    else toast.note("The model has no question now.");
  });
  keys.on("alternative", () =>
    clicking.setShape({ walls: clicking.shape.value.walls ? 0 : 4 * (project.image.value?.gsd ?? 1) }),
  );
  keys.on("undo", () => void context.undo());
  keys.on("redo", () => void context.redo());
  keys.on("copy", () => (window.getSelection()?.toString() ? false : void actions.copy()));
  keys.on("paste", () => void actions.paste());
  keys.on("explode", () => void actions.explode());
  keys.on("parts", () => void actions.takeApart());
  keys.on("square", () => void actions.reshape());
  keys.on("goto", dialogs.goto);
  keys.on("exclude", () => excluding.set(!excluding.value));
  clicking.openOutline.on((now, before) => before && !now && excluding.set(false), { now: false });
  keys.on("delete", () => {
    if (tools.current.value?.remove?.()) return;
    if (clicking.begun())
      toast.note("An outline is open: Esc clears its clicks. The selected objects were not deleted.");
    else actions.remove();
  });
  keys.on("selectAll", () => (tools.use("select"), actions.selectAll()));
  keys.on("help", dialogs.keys);
  keys.on("merge", () => void actions.merge());
  keys.on("brush.smaller", () => brushSize.set(Math.max(3, Math.round(brushSize.value / 1.25))));
  keys.on("brush.larger", () => brushSize.set(Math.min(160, Math.round(brushSize.value * 1.25))));
  keys.on("reopen", () => void actions.reopen());
  keys.on("example", () => void actions.addExample(true));
  keys.on("counterexample", () => void actions.addExample(false));
  keys.on("find", () => void actions.findRest());
  keys.on("yes", () => void answer(true));
  keys.on("no", () => void answer(false));
  keys.on("review", () => void actions.nextToReview());
  keys.on("export", dialogs.export);
  keys.on("import", () => dialogs.import());
  keys.on("images", () => dialogs.images());
  keys.on("image.previous", () => void actions.nextImage(-1));
  keys.on("image.next", () => void actions.nextImage(1));
  keys.on("zoom.in", () => stage.zoomBy(1));
  keys.on("zoom.out", () => stage.zoomBy(-1));
  keys.on("fit", () => stage.fitImage());
  keys.on("peek", () => display.peeking.set(true));
  keys.onRelease("peek", () => display.peeking.set(false));
  keys.on("swipe", () => display.swipe.set(display.swipe.value === null ? 0.5 : null));
  keys.on("panel", () => (document.getElementById("app").classList.toggle("wide"), stage.map.updateSize()));

  /** Y and N answer what was asked last: the suggested click of an open outline, a review, a proposal. */
  function answer(yes) {
    if (clicking.begun() && clicking.openOutline.value?.hint) return clicking.answerHint(yes);
    if (actions.reviewing.value) return actions.judge(yes);
    if (actions.proposals.value) return actions.decideCurrent(yes);
    if (project.selection.value.size) return actions.judge(yes);
    return toast.note("Y and N answer a proposal, the suggested click, or a review (G).");
  }

  return { answer };
}
