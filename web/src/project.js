/**
 * Images, classes, objects of the shown image, selection, examples: the part `project` of state.js, and its one writer.
 */

import { api, caller } from "./api.js";

export function createProject({ state, history, toast, jumpTo }) {
  const project = { ...state };
  let keptAt = null; // when the server last kept something

  const newer = (feature, known) => !known || feature.properties.rev >= known.properties.rev;

  /** Take in features, deletions and changed properties, of this image only. */
  function apply({ objects = [], deleted = [], patches = [] }) {
    const image = project.image.value?.id;
    const next = new Map(project.objects.value);
    for (const uuid of deleted) next.delete(uuid);
    for (const feature of objects) {
      if (feature.properties.image === image && newer(feature, next.get(feature.id))) next.set(feature.id, feature);
      else if (feature.properties.image !== image) next.delete(feature.id);
    }
    for (const { id, properties } of patches) {
      const known = next.get(id);
      if (known) next.set(id, { ...known, properties: { ...known.properties, ...properties } });
    }
    project.objects.set(next);
    if (deleted.length) project.selection.update((chosen) => new Set([...chosen].filter((uuid) => next.has(uuid))));
    kept();
    refreshState();
  }

  /** What the server answered is on disk. */
  function kept() {
    keptAt = new Date();
    sayKept();
  }

  // "Not saved" is said while something waits for the server, is refused by the disk, or cannot be sent; nothing else.
  let pending = 0;
  let trouble = null;
  function sayKept() {
    project.saved.set({ kind: trouble ? "lost" : pending ? "pending" : "saved", at: keptAt, why: trouble });
  }
  function setTrouble(why) {
    trouble = why;
    sayKept();
  }

  let asked = 0;
  function refreshState(wait = 150) {
    clearTimeout(asked);
    asked = setTimeout(
      () =>
        api
          .state()
          .then(takeState)
          .catch(() => {}),
      wait,
    );
  }
  function takeState(now) {
    project.state.set(now);
    history.tell(now.can_undo, now.can_redo);
    const work = ({ id }) => now.work[id] ?? { objects: 0, state: "untouched" };
    const another = (image) => image.objects !== work(image).objects || image.state !== work(image).state;
    if (project.images.value.some(another))
      project.images.set(project.images.value.map((image) => (another(image) ? { ...image, ...work(image) } : image)));
  }

  /** Wait for the server while something is being kept; what it refuses is said and passed on. */
  async function keeping(work) {
    pending += 1;
    sayKept();
    try {
      const answer = await work();
      if (trouble?.kind === "disk") trouble = null;
      return answer;
    } catch (error) {
      if (error.status === 0) trouble = { kind: "line", text: error.message };
      else if (error.status === 503 && error.kind === "FileGone") trouble = { kind: "disk", text: error.message };
      else if (error.kind === "BadOutput") trouble = { kind: "disk", text: error.message };
      throw error;
    } finally {
      pending -= 1;
      sayKept();
    }
  }

  /** Do an act that the server keeps and can take back; the answer is applied to the map. */
  let acts = 0;
  function act(label, work) {
    return history.inOrder(async () => {
      try {
        const change = await keeping(work);
        acts += 1;
        applyChange(change);
        return change;
      } catch (error) {
        await explain(error);
        throw error;
      }
    });
  }

  /** Several acts as one for undo: what `work` asks of the server within is one entry there. */
  async function together(work) {
    const outer = caller.act;
    caller.act ||= crypto.getRandomValues(new Uint32Array(3)).join("-");
    try {
      return await work();
    } finally {
      caller.act = outer;
    }
  }

  function applyChange(change) {
    if (!change) return;
    if (change.type === "Feature") apply({ objects: [change] });
    else if (change.objects) apply(change);
    else {
      kept();
      refreshState();
    }
    if (change.proposals) project.proposed.set(change.proposals);
    if (change.reload || change.renamed) project.loadObjects().catch(explain);
    if (change.classes) project.loadClasses();
    if (change.references || change.renamed) project.loadReferences();
  }

  /** Say what went wrong; after a conflict show what is stored now. */
  async function explain(error) {
    if (error.name === "AbortError") return;
    if (error.status === 409 && error.body.theirs !== undefined) {
      const { theirs, mine, kept } = error.body;
      const deleted = theirs ? [] : [mine?.id].filter(Boolean);
      apply({ objects: theirs ? [theirs] : [], deleted });
      if (kept) await project.loadObjects();
      const who = theirs
        ? `${theirs.properties.author || "Somebody"} changed this object meanwhile.`
        : "Somebody deleted this object meanwhile.";
      const what = kept
        ? "Your version was kept beside it, with the state conflict."
        : theirs
          ? "It is shown as it is now: do your change again."
          : "";
      toast.error(`${who} ${what}`, kept ? { label: "Show", run: () => jumpTo(kept) } : undefined);
      return;
    }
    toast.error(error.message);
  }

  return Object.assign(project, {
    apply,
    applyChange,
    act,
    /** How many acts this page did. */
    acts: () => acts,
    keeping,
    together,
    explain,
    refreshState,
    setTrouble,

    classOf: (name) => project.classes.value.find((item) => item.name === name),
    colourOf: (name) => project.classes.value.find((item) => item.name === name)?.colour ?? "#c9b8ff",
    selected: () => [...project.selection.value].map((uuid) => project.objects.value.get(uuid)).filter(Boolean),
    revised: (features) => features.map((feature) => ({ id: feature.id, rev: feature.properties.rev })),

    async load() {
      await project.reload();
      project.className.set(project.classes.value[0]?.name ?? "");
    },
    /** What the server has now; what is in the hand stays. */
    async reload() {
      const [now, images, classes, references] = await Promise.all([
        api.state(),
        api.images(),
        api.classes(),
        api.references(),
      ]);
      project.images.set(images);
      takeState(now);
      project.classes.set(classes);
      project.references.set(references);
    },
    async loadClasses() {
      const classes = await api.classes();
      project.classes.set(classes);
      if (!classes.some((item) => item.name === project.className.value)) project.className.set(classes[0]?.name ?? "");
    },
    async loadReferences() {
      project.references.set(await api.references());
    },
    async loadObjects() {
      const image = project.image.value;
      if (!image) return;
      project.loading.set(true);
      try {
        const features = await api.objects(image.id);
        if (project.image.value !== image) return;
        project.objects.set(new Map(features.map((feature) => [feature.id, feature])));
      } finally {
        project.loading.set(false);
      }
    },
    async showImage(id) {
      const image = project.images.value.find((item) => item.id === id) ?? project.images.value[0];
      if (!image || image.id === project.image.value?.id) return;
      project.selection.set(new Set());
      project.objects.set(new Map());
      project.image.set(image);
      await project.loadObjects();
    },
    select(uuids, { add = false } = {}) {
      project.selection.set(new Set(add ? [...project.selection.value, ...uuids] : uuids));
    },
    toggle(uuid) {
      const next = new Set(project.selection.value);
      if (!next.delete(uuid)) next.add(uuid);
      project.selection.set(next);
    },
  });
}
