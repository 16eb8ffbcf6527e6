/**
 * One thing being outlined by clicks: the open outline of the server as the map sees it.
 *
 * Acts are sent strictly in order; a click shows its marker at once and its outline when the answer comes. The one
 * for the hover preview is opened without a click and simply replaced when the view has changed before the first one.
 */

import { api } from "./api.js";
import { frameOf } from "./geometry.js";
import { createHovering } from "./hovering.js";
import { debounce, latest } from "./signal.js";
import { lasting, memory } from "./window.js";

export function createClicking({ state, project, stage, history, toast, words }) {
  const { openOutline, busy, shape, useExamples, waiting, boxing, parked } = state;
  const { inOrder } = history;
  let opening = null;
  let quiet = false;
  let openedFor = "";

  const clicks = () => openOutline.value?.clicks ?? [];
  const begun = () => clicks().length > 0 || Boolean(openOutline.value?.outline) || waiting.value.length > 0;
  const examplesOf = (name) => project.references.value.filter((item) => item.class === name);

  function body() {
    const name = project.className.value;
    const references = useExamples.value && examplesOf(name).length ? "class" : [];
    const { tiles } = stage.display;
    return {
      image: project.image.value.id,
      target: project.target.value,
      class: name,
      view: stage.view(),
      references,
      ...wantedShape(),
      bands: tiles.value.bands ?? null,
      stretch: tiles.value.stretch ?? "auto",
    };
  }

  /**
   * Squaring absorbs walls shorter than its tolerance, so it takes the place of simplifying; null: as few corners as
   * needed.
   */
  const wantedShape = () =>
    shape.value.walls
      ? { square: true, simplify_m: shape.value.walls }
      : { square: false, simplify_m: shape.value.simplify_m || null };

  /** What an outline without a click was opened for; another view means another one, a little panning does not. */
  function purpose({ image, target, class: name, view, references, bands, stretch }) {
    const size = Math.round(2 * Math.log2(view.resolution));
    const area = target === "class" ? view.bounds.map((side) => Math.round(side / (40 * view.resolution))) : [];
    return JSON.stringify([image, target, name, references.length, bands, stretch, size, area]);
  }

  async function open(extra = {}) {
    const wanted = { ...body(), ...extra };
    const opened = await api.openOutline(wanted);
    openedFor = purpose(wanted);
    adopt(opened);
    return opened;
  }

  /** The outline to click in: the open one, or a new one for what the map shows now. Looking loses nothing to redo. */
  async function ensure({ looking = false } = {}) {
    if (opening) await opening;
    const holds = looking && (openOutline.value?.can_undo || openOutline.value?.can_redo);
    if (openOutline.value && (begun() || holds || openedFor === purpose(body()))) return openOutline.value;
    const stale = openOutline.value;
    opening = open().finally(() => (opening = null));
    const opened = await opening;
    if (stale) api.closeOutline(stale.id).catch(() => {});
    return opened;
  }

  function adopt(next) {
    const image = (next ?? openOutline.value)?.image;
    openOutline.set(next);
    remember(image, next?.clicks.length || next?.outline ? next.id : undefined);
    stage.display.opened.set(next?.object ?? null);
    draw();
  }

  /** Which outline is open on an image, for when this window comes back to it; with what was typed for it. */
  function remember(image, id) {
    if (!image) return;
    memory.set("open", { ...memory.get("open"), [image]: id });
    const known = memory.get("words");
    if (id && known?.id === id) words.set(known);
  }
  const rememberWords = () => openOutline.value && memory.set("words", { id: openOutline.value.id, ...words.said() });
  words.label.on(rememberWords, { now: false });
  words.attributes.on(rememberWords, { now: false });

  function draw() {
    const current = openOutline.value;
    stage.showClicks([...clicks(), ...waiting.value], current?.outline && !waiting.value.length ? current.hint : null);
    stage.showOutline("answer", current?.outline && !current.outline.empty ? current.outline.geometry : null);
    if (begun() && !waiting.value.length) stage.showOutline("preview", null);
    stage.showBox(boxing.value ?? current?.box);
    stage.showOutline("area", current?.outline ? frameOf(current.view?.bounds) : null);
  }

  async function working(work) {
    busy.update((n) => n + 1);
    try {
      return await work();
    } catch (error) {
      await project.explain(error);
      if (error.status === 404 && openOutline.value) adopt(null);
      return null;
    } finally {
      busy.update((n) => n - 1);
    }
  }

  function click(point, positive) {
    if (!stage.isOnImage(point)) return Promise.resolve();
    const mark = { x: point[0], y: -point[1], positive, pending: true };
    if (!positive && !begun()) {
      toast.note("Left-click the thing itself first; a right click then takes away what is too much.");
      return Promise.resolve();
    }
    hovering.cancel({ keep: positive && !begun() }); // what was promised stays until the answer is there
    waiting.update((marks) => [...marks, mark]);
    draw();
    const answered = () => waiting.update((marks) => marks.filter((one) => one !== mark));
    return inOrder(() =>
      working(async () => {
        try {
          const current = await ensure();
          const next = await project.keeping(() =>
            api.click(current.id, { x: mark.x, y: mark.y, positive, resolution: stage.view().resolution }),
          );
          answered();
          adopt(next);
          project.refreshState();
          if (next.outline?.empty)
            toast.note("Nothing was found there. Another click, or Tab for everything alike, may help.");
        } finally {
          answered();
          if (!waiting.value.length) stage.showOutline("preview", null);
          draw();
        }
      }),
    );
  }

  /** A box {x1, y1, x2, y2} around the thing, in pixels with y down; it takes the place of the one before. */
  function box(corners) {
    hovering.cancel();
    boxing.set(corners);
    draw();
    return inOrder(() =>
      working(async () => {
        try {
          const current = await ensure();
          const { resolution } = stage.view();
          const next = await project.keeping(() => api.box(current.id, { ...corners, resolution }));
          boxing.set(null);
          adopt(next);
          project.refreshState();
          if (next.outline?.empty) toast.note("Nothing was found in the box. Clicks on the thing may help.");
        } finally {
          boxing.set(null);
          draw();
        }
      }),
    );
  }

  const change = (work) =>
    inOrder(() =>
      openOutline.value
        ? working(async () => {
            const { id } = openOutline.value;
            const next = await project.keeping(() => work(id));
            if (openOutline.value?.id === id) adopt(next);
            project.refreshState();
          })
        : Promise.resolve(),
    );

  async function finish(work) {
    return inOrder(() =>
      working(async () => {
        const current = openOutline.value;
        if (!current?.outline || current.outline.empty) {
          toast.note(current?.outline ? "There is no outline to accept yet." : "Click on a thing first.");
          return null;
        }
        return work(current);
      }),
    );
  }

  const accept = () =>
    finish(async (current) => {
      const feature = await project.keeping(() =>
        api.accept(current.id, { class: project.className.value, ...words.said(current.object) }),
      );
      adopt(null);
      words.kept(feature.properties.class);
      project.apply({ objects: [feature] });
      return feature;
    });

  /**
   * Esc: first the clicks go (undo brings them back), then the outline. False if there was nothing to leave.
   */
  function leave() {
    stage.showOutline("preview", null);
    const current = openOutline.value;
    if (!current) return false;
    if (current.object) {
      const had = begun();
      if (current.can_undo) toast.note("The object stays as it was kept. Undo goes on with the outline.");
      return (
        inOrder(() =>
          working(async () => {
            adopt(null);
            words.begin();
            await api.closeOutline(current.id);
            project.refreshState();
          }),
        ),
        had
      );
    }
    if (begun()) return (change(() => api.stepOutline(current.id, "clear")), true);
    park();
    return false;
  }

  /** Put the outline aside as it is: it waits where it lies, on disk, until somebody goes on with it. */
  function park() {
    hovering.cancel();
    const current = openOutline.value;
    if (!current) return;
    const id = begun() || current.can_undo || current.can_redo ? current.id : null; // redo goes through it
    openOutline.set(null);
    stage.display.opened.set(null);
    draw();
    if (!id) api.closeOutline(current.id).catch(() => {});
    words.begin();
    parked.update((n) => n + 1);
  }

  /** Go on with an outline that waits; gives it, null if it is gone. Call in order. */
  async function resume(id) {
    const next = await working(() => api.claim(id));
    if (!next || next.image !== project.image.value?.id) return null;
    if (openOutline.value && openOutline.value.id !== id) park();
    adoptWithHand(next);
    parked.update((n) => n + 1);
    return next;
  }

  /** Take an outline as the server gives it, with its class and target in the hand. */
  function adoptWithHand(next) {
    inHand({ class: next.class, target: next.target });
    adopt(next);
  }

  /** What is in the hand is set without changing the open outline: it is so already. */
  function inHand({ class: name, target }) {
    quiet = true;
    try {
      if (name !== undefined && (!name || project.classOf(name))) project.className.set(name);
      if (target) project.target.set(target);
    } finally {
      quiet = false;
    }
  }

  function reopen(feature) {
    return inOrder(() =>
      working(async () => {
        park();
        inHand({ class: feature.properties.class, target: feature.properties.target });
        words.set(feature.properties);
        await open({ object: feature.id });
      }),
    );
  }

  const gone = () => adopt(null);
  const hovering = createHovering({ project, stage, openOutline, busy, begun, ensure, body, gone });

  // --- the shape of the outline: simplified, with square corners --------------------------------------------------

  const reshape = latest(async (wanted) => {
    const current = openOutline.value;
    if (!current?.outline) return;
    try {
      const outline = await api.shapeOfOutline(current.id, wanted);
      if (openOutline.value?.id !== current.id || openOutline.value.clicks.length !== current.clicks.length) return;
      openOutline.set({ ...openOutline.value, outline });
      draw();
    } catch (error) {
      if (error.status !== 404) project.explain(error);
    }
  });
  const settleShape = debounce(() => {
    if (openOutline.value) change((id) => api.changeOutline(id, wantedShape()));
  }, 350);
  function setShape(part) {
    shape.set({ ...shape.value, ...part });
    lasting.set("shape", shape.value);
    if (!openOutline.value) return;
    reshape(wantedShape());
    settleShape();
  }

  window.addEventListener("pagehide", () => {
    if (openOutline.value && !begun()) api.closeOutline(openOutline.value.id, { keepalive: true }).catch(() => {});
  });

  project.target.on(
    (target) => {
      if (quiet) return;
      if (openOutline.value && begun() && openOutline.value.target !== target)
        change((id) => api.changeOutline(id, { target }));
      else stage.showOutline("preview", null);
    },
    { now: false },
  );
  project.className.on(
    (name) => {
      if (!quiet && openOutline.value && begun() && openOutline.value.class !== name)
        change((id) => api.changeOutline(id, { class: name }));
      stage.redraw();
    },
    { now: false },
  );

  return {
    ...state,
    begun,
    click,
    box,
    accept,
    leave,
    park,
    resume,
    inHand,
    adoptWithHand,
    reopen,
    hovering,
    setShape,
    wantedShape,
    examplesOf,
    /** A Change of undo or redo may give an outline back, or take it (redo of an accept closes it). */
    adopt,
    paint: (geometry, add) => change((id) => api.paint(id, geometry, add)),
    /** Answer the question at the suggested place: is it part of the thing? */
    answerHint(positive) {
      const hint = openOutline.value?.hint;
      return hint ? click([hint.x, -hint.y], positive) : null;
    },
    /** A rough class answer arrived before the fine one. */
    rough(id, outline) {
      if (openOutline.value?.id === id && busy.value)
        stage.showOutline("answer", outline?.empty ? null : outline?.geometry);
    },
  };
}
