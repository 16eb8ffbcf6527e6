/** Undo and redo: the newest act of this window taken back or done again, wherever it was done, and shown there. */

export function createTurning({ project, stage, clicking, actions, tools, sketches, drafts, history, toast }) {
  async function undo() {
    if ((await history.undo()) === null) toast.note("There is nothing to undo in this window.");
  }
  async function redo() {
    if ((await history.redo()) === null) toast.note("There is nothing to redo in this window.");
  }

  /** Show what was undone or redone: go to its image, take back its outline or drawing, put its class in the hand. */
  async function turned(change, verb) {
    const { session, image, hand, closed } = change;
    const elsewhere = Boolean(image) && image !== project.image.value?.id;
    if (elsewhere) await project.showImage(image);
    project.applyChange(change);
    if (hand) clicking.inHand(hand);
    if (closed && clicking.openOutline.value?.id === closed) clicking.adopt(null);
    if (session && session.image === project.image.value?.id) {
      if (clicking.openOutline.value?.id !== session.id) clicking.park();
      if (!tools.current.value?.clicks) tools.use("click");
      clicking.adoptWithHand(session);
    }
    for (const sketch of change.sketches ?? []) {
      sketches.note(sketch);
      if (sketch.image !== project.image.value?.id) continue;
      tools.use(sketch.tool);
      tools.current.value?.restore?.(sketches.of(sketch.tool));
    }
    const here = (change.objects ?? []).filter((object) => object.properties.image === project.image.value?.id);
    if (here.length && !session) project.select(here.map((object) => object.id));
    drafts().refresh();
    const words = change.act.replace(/^(undo|redo) /, "");
    const where = elsewhere ? `, on ${project.image.value.name}` : "";
    if (elsewhere || !session)
      toast.note(`${verb === "undo" ? "Undone" : "Done again"}: ${words}${where}.`, undefined, "turned");
    const box = !session && here.length ? stage.extentOf(here.map((object) => object.id)) : null;
    if (box && !(stage.isInView([box[0], box[1]]) || stage.isInView([box[2], box[3]]))) actions.zoomTo(box);
  }

  return { undo, redo, turned };
}
