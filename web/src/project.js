/** What the map knows: images, classes, objects of the shown image, selection, examples. One place that talks of them. */

import { api } from "./api.js";
import { signal } from "./signal.js";

export function createProject({ history, toast }) {
  const project = {
    state: signal(null),
    images: signal([]),
    image: signal(null),
    classes: signal([]),
    references: signal([]),
    /** uuid → Feature of the shown image, coordinates as the server gives them. Replaced whole, never changed in place. */
    objects: signal(new Map()),
    selection: signal(new Set()),
    className: signal(""),
    target: signal("object"),
    saved: signal({ kind: "saved", at: null }),
    loading: signal(false),
  };

  const newer = (feature, known) => !known || feature.properties.rev >= known.properties.rev;

  /** Take in features and deletions, of this image only. */
  function apply({ objects = [], deleted = [] }) {
    const image = project.image.value?.id;
    const next = new Map(project.objects.value);
    for (const uuid of deleted) next.delete(uuid);
    for (const feature of objects)
      if (feature.properties.image === image && newer(feature, next.get(feature.id))) next.set(feature.id, feature);
    project.objects.set(next);
    if (deleted.length) project.selection.update((chosen) => new Set([...chosen].filter((uuid) => next.has(uuid))));
    project.saved.set({ kind: "saved", at: new Date() });
    refreshState();
  }

  let asked = 0;
  function refreshState() {
    clearTimeout(asked);
    asked = setTimeout(() => api.state().then((state) => project.state.set(state)).catch(() => {}), 150);
  }

  /** Do an act that the server can take back; the answer is applied to the map. */
  async function act(label, work) {
    project.saved.set({ ...project.saved.value, kind: "pending" });
    try {
      const change = await work();
      applyChange(change);
      history.push(serverAct(label));
      return change;
    } catch (error) {
      project.saved.set({ ...project.saved.value, kind: "lost" });
      await explain(error);
      throw error;
    }
  }

  function applyChange(change) {
    if (!change) return;
    if (change.type === "Feature") apply({ objects: [change] });
    else apply(change);
    if (change.classes) project.loadClasses();
    if (change.references) project.loadReferences();
  }

  const serverAct = (label) => ({
    label,
    undo: async () => project.afterUndo(await api.undo()),
    redo: async () => project.afterUndo(await api.redo(), { redone: true }),
  });

  /** Say what went wrong; after a conflict show what is stored now. */
  async function explain(error) {
    if (error.name === "AbortError") return;
    if (error.status === 409 && error.body.theirs !== undefined) {
      const { theirs, mine, kept } = error.body;
      const deleted = theirs ? [] : [mine?.id].filter(Boolean);
      apply({ objects: theirs ? [theirs] : [], deleted });
      if (kept) await project.loadObjects();
      const who = theirs ? `${theirs.properties.author || "Somebody"} changed this object meanwhile.` : "Somebody deleted this object meanwhile.";
      const what = kept ? "Your version was kept beside it, with the state conflict." : theirs ? "It is shown as it is now: do your change again." : "";
      toast.error(`${who} ${what}`, kept ? { label: "Show", run: () => project.jumpTo(kept) } : undefined);
      return;
    }
    toast.error(error.message);
  }

  return Object.assign(project, {
    apply,
    applyChange,
    act,
    serverAct,
    explain,
    refreshState,
    /** Set by main: what to do with a Change that undo or redo gave, and how to go to an object. */
    afterUndo: applyChange,
    jumpTo: () => {},

    classOf: (name) => project.classes.value.find((item) => item.name === name),
    colourOf: (name) => project.classes.value.find((item) => item.name === name)?.colour ?? "#7fd1ff",
    selected: () => [...project.selection.value].map((uuid) => project.objects.value.get(uuid)).filter(Boolean),
    revised: (features) => features.map((feature) => ({ id: feature.id, rev: feature.properties.rev })),

    async load() {
      const [state, images, classes, references] = await Promise.all([api.state(), api.images(), api.classes(), api.references()]);
      project.state.set(state);
      project.images.set(images);
      project.classes.set(classes);
      project.references.set(references);
      project.className.set(classes[0]?.name ?? "");
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
      if (!image || image === project.image.value) return;
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
