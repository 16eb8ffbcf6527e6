/** Everything that can be done to objects, classes and examples, for tools, panels and keys alike. */

import { api } from "./api.js";
import { createProposals } from "./proposals.js";

const count = (n, word, one = word) => (n === 1 ? one : `${n} ${word}s`);

export function createActions({ state, project, stage, clicking, toast, words, useTool }) {
  const { act, revised } = project;
  const { reviewing } = state;

  const quietly = (work) => work.catch(() => null);
  const rev = (feature) => feature.properties.rev;
  const isSelected = (uuid) => project.selection.value.has(uuid);

  // --- objects ----------------------------------------------------------------------------------------------------

  const addDrawn = (geometry) => {
    const image = project.image.value.id;
    const name = project.className.value;
    const feature = {
      type: "Feature",
      geometry,
      properties: { image, class: name, status: "accepted", ...words.said() },
    };
    return quietly(
      act(`draw ${name || "object"}`, () => api.addObject(image, feature)).then((change) => {
        words.kept(name);
        return change;
      }),
    );
  };

  /** Objects [{object, geometry}] with other outlines, as one act; `corners` says that borders were edited. */
  const place = (changed, { corners = false, label = "edit corners" } = {}) =>
    act(label === "edit corners" ? label : `${label} ${count(changed.length, "object")}`, () =>
      api.objectsAct("place", {
        corners,
        objects: changed.map(({ object, geometry }) => ({ id: object.id, rev: rev(object), geometry })),
      }),
    );

  /** Copied objects: [{id, rev}], and the middle of them in pixels of their image. */
  let copied = null;
  function copy() {
    const features = project.selected();
    if (!features.length) return toast.note("Select the objects to copy first.");
    const extent = stage.extentOf(features.map(({ id }) => id));
    copied = {
      objects: features.map(({ id }) => ({ id })),
      middle: [(extent[0] + extent[2]) / 2, (extent[1] + extent[3]) / 2],
    };
    return toast.note(
      `${count(features.length, "object", "1 object")} copied. ` +
        `Ctrl V puts ${features.length === 1 ? "it" : "them"} under the cursor.`,
    );
  }
  async function paste() {
    if (!copied) return toast.note("Nothing was copied yet: select objects and press Ctrl C.");
    const at = stage.cursor.value ?? stage.map.getView().getCenter();
    const [dx, dy] = [at[0] - copied.middle[0], copied.middle[1] - at[1]];
    const change = await quietly(
      act(`paste ${count(copied.objects.length, "object")}`, () =>
        api.objectsAct("copy", { ...copied, middle: undefined, dx, dy, image: project.image.value.id }),
      ),
    );
    if (change) project.select(change.objects.map((feature) => feature.id));
    return change;
  }

  /** One selected: what comes next are its parts, until this is asked for again. Several: parts of the largest. */
  function takeApart() {
    const chosen = project.selected();
    if (chosen.length > 1) {
      const areaOf = ({ id }) => stage.sources.objects.getFeatureById(id)?.get("area") ?? 0;
      const [whole, ...parts] = [...chosen].sort((a, b) => areaOf(b) - areaOf(a));
      return set(parts, { attributes: { part_of: whole.id } }, `make ${parts.length} parts of an object`);
    }
    const whole = chosen[0]?.id ?? null;
    if (words.whole.value && (!whole || whole === words.whole.value)) return words.whole.set(null);
    if (!whole) return toast.note("Select the object whose parts you want to outline.");
    words.whole.set(whole);
    project.select([]);
    return toast.note("What you keep now are parts of that object; their class is their tag.");
  }

  async function explode() {
    const features = project.selected().filter(({ geometry }) => geometry?.type.startsWith("Multi"));
    if (!features.length) return toast.note("Select an object of several parts to separate them.");
    const change = await quietly(
      act(`separate the parts of ${count(features.length, "object")}`, () =>
        api.objectsAct("explode", { objects: revised(features) }),
      ),
    );
    if (change) project.select(change.objects.map((feature) => feature.id));
    return change;
  }

  const onObject = (verb, label, feature, body) =>
    act(label, () => api.objectAct(feature.id, verb, { ...body, rev: rev(feature) }));

  async function cut(feature, geometry) {
    return quietly(onObject("cut", "cut a hole", feature, { geometry }));
  }
  async function split(feature, line) {
    const coordinates = line.map(([x, y]) => [x, -y]);
    const change = await quietly(onObject("split", "split", feature, { line: { type: "LineString", coordinates } }));
    if (change) project.select(change.objects.map((part) => part.id));
    return change;
  }
  const brush = (feature, geometry, adding) =>
    onObject(adding ? "add" : "cut", adding ? "paint" : "erase", feature, { geometry });
  /** Simplify or square saved objects as the sliders of the panel say. */
  async function reshape(features = project.selected()) {
    const wanted = clicking.wantedShape();
    if (!wanted.square && !wanted.simplify_m)
      return toast.note("Set the sliders Simplify or Right angles first; this then applies them to what is selected.");
    return quietly(
      act(`change the shape of ${count(features.length, "object")}`, () =>
        api.objectsAct("shape", { objects: revised(features), ...wanted }),
      ),
    );
  }

  async function merge() {
    const features = project.selected();
    if (features.length < 2)
      return toast.note("Select two or more objects to merge them (Shift-click, or Shift-drag a box).");
    const change = await quietly(
      act(`merge ${features.length} objects`, () => api.objectsAct("merge", { objects: revised(features) })),
    );
    if (change) project.select(change.objects.map((feature) => feature.id));
    return change;
  }

  const set = (features, values, label) =>
    features.length
      ? quietly(act(label, () => api.objectsAct("set", { objects: revised(features), ...values })))
      : null;

  const remove = (features = project.selected()) => {
    if (!features.length) return toast.note("Select the objects to delete first.");
    return quietly(
      act(`delete ${count(features.length, "object")}`, () => api.objectsAct("delete", { objects: revised(features) })),
    );
  };

  const relabel = (name, features = project.selected()) =>
    set(features, { class: name }, `make ${count(features.length, "object")} ${name || "unclassed"}`);

  async function reopen(uuid) {
    const feature = project.objects.value.get(uuid) ?? project.selected()[0];
    if (!feature) return toast.note("Select the object to go on with first.");
    useTool("click");
    await clicking.reopen(feature);
    project.select([feature.id]);
    bringIntoView(feature.id);
  }

  function extentOf(uuid) {
    return stage.sources.objects.getFeatureById(uuid)?.getGeometry()?.getExtent();
  }
  function bringIntoView(uuid) {
    const extent = extentOf(uuid);
    if (!extent) return;
    const inside = stage.isInView([extent[0], extent[1]]) && stage.isInView([extent[2], extent[3]]);
    const small = Math.max(extent[2] - extent[0], extent[3] - extent[1]) / stage.map.getView().getResolution() < 24;
    if (!inside || small) zoomTo(extent);
  }
  function zoomTo(extent) {
    stage.fit(extent, { padding: Math.min(...stage.map.getSize()) * 0.28 });
  }
  async function jumpTo(uuid, image) {
    if (image && image !== project.image.value?.id) await project.showImage(image);
    const extent = extentOf(uuid);
    if (!extent) return;
    project.select([uuid]);
    zoomTo(extent);
  }

  /** The objects that a drawn line or ring is meant for: the selected ones it meets, else those it meets. */
  function underDrawing(points, { line = false } = {}) {
    const samples = [];
    for (let i = 0; i + 1 < points.length; i++)
      for (let t = 0; t <= 24; t++)
        samples.push(points[i].map((from, axis) => from + ((points[i + 1][axis] - from) * t) / 24));
    const ends = [points[0], points.at(-1)];
    const meets = [];
    for (const feature of stage.sources.objects.getFeatures()) {
      const geometry = feature.getGeometry();
      if (!geometry || !samples.some((point) => geometry.intersectsCoordinate(point))) continue;
      const through = !ends.some((point) => geometry.intersectsCoordinate(point));
      const inside = samples.filter((point) => geometry.intersectsCoordinate(point)).length;
      meets.push({ uuid: feature.getId(), through, inside, area: geometry.getArea() });
    }
    // a ring is meant for what holds most of it, the smallest of these
    meets.sort((one, other) => other.inside - one.inside || one.area - other.area);
    const chosen = meets.filter(({ uuid }) => isSelected(uuid));
    const wanted = chosen.length ? chosen : line ? meets.filter(({ through }) => through) : meets.slice(0, 1);
    return wanted.map(({ uuid }) => project.objects.value.get(uuid));
  }

  // --- review -----------------------------------------------------------------------------------------------------

  const unreviewed = () =>
    [...project.objects.value.values()]
      .filter(({ properties: { status } }) => !["approved", "rejected"].includes(status))
      .sort((a, b) => (a.properties.score ?? -1) - (b.properties.score ?? -1));

  async function nextToReview() {
    const [next] = unreviewed();
    reviewing.set(Boolean(next));
    if (!next) return toast.good("Every object of this image is reviewed.");
    await jumpTo(next.id);
  }

  async function judge(good) {
    const features = project.selected();
    if (!features.length) return nextToReview();
    const status = good ? "approved" : "rejected";
    const change = await set(
      features,
      { status },
      `${good ? "approve" : "reject"} ${count(features.length, "object")}`,
    );
    if (change && reviewing.value) await nextToReview();
  }

  // --- examples and "find the rest" ---------------------------------------------------------------------------------

  async function addExample(positive = true) {
    const features = project.selected();
    if (!features.length) return toast.note("Select the object that shall be the example first.");
    await project.together(async () => {
      for (const feature of features) {
        const name = positive
          ? feature.properties.class || project.className.value
          : project.className.value || feature.properties.class;
        await quietly(
          addReference(
            { object: feature.id, positive, class: name },
            positive ? "add an example" : "add a counter-example",
          ),
        );
      }
    });
    toast.good(positive ? "Kept as an example. F finds the rest in this view." : "Kept as a counter-example.");
  }

  const addReference = (body, label) =>
    act(label, async () => {
      await api.addReference(body);
      return { references: true };
    });

  const removeReference = (reference) =>
    quietly(
      act("remove an example", async () => {
        await api.deleteReference(reference.id);
        return { references: true };
      }),
    );

  const addExampleOf = (feature) =>
    project.references.value.some((item) => item.class === feature.properties.class && item.positive)
      ? null
      : addExample(true);
  const found = createProposals({ state, project, stage, clicking, toast, addExampleOf });

  // --- classes ----------------------------------------------------------------------------------------------------

  const done = (work) =>
    work.then(
      () => true,
      () => false,
    );

  /** Make a class, or change the one of that name; renaming takes its objects along. */
  function saveClass(name, values) {
    const renamed = Boolean(values.name && values.name !== name && project.classOf(name));
    const held = project.className.value === name;
    return done(
      act(`class ${name}`, async () => {
        await api.saveClass(name, values);
        await project.loadClasses();
        if (held && values.name) clicking.inHand({ class: values.name });
        return { renamed };
      }),
    );
  }

  /** Delete a class; its objects get the class `moveTo` first. */
  function deleteClass(name, moveTo) {
    return done(
      act(`delete class ${name}`, async () => {
        await api.deleteClass(name, moveTo);
        return { classes: true, renamed: true };
      }),
    );
  }

  /** Say that an image is done, or with "" that it is not. */
  const markImage = (image, state) =>
    act(`mark ${image.name} as ${state || "not done"}`, () => api.markImage(image.id, state));

  function importFile(file, parameters) {
    return act(`import ${file.name}`, () =>
      api.import(file, { name: file.name, image: project.image.value.id, ...parameters }),
    );
  }

  return {
    ...found,
    reviewing,
    addDrawn,
    place,
    copy,
    paste,
    explode,
    takeApart,
    say: (text, topic) => toast.note(text, undefined, topic),
    cut,
    split,
    brush,
    reshape,
    merge,
    set,
    remove,
    relabel,
    reopen,
    zoomTo,
    jumpTo,
    underDrawing,
    unreviewed,
    nextToReview,
    judge,
    addExample,
    addReference,
    removeReference,
    saveClass,
    deleteClass,
    importFile,
    markImage,
    selectAll: () =>
      project.select(
        [...project.objects.value.keys()].filter((uuid) => {
          const feature = stage.sources.objects.getFeatureById(uuid);
          return !feature || stage.isFree(feature);
        }),
      ),
    nextImage(step) {
      const images = project.images.value;
      if (images.length < 2) return toast.note("This session has one image.");
      const at = images.findIndex((image) => image.id === project.image.value?.id);
      return project.showImage(images[(at + step + images.length) % images.length].id);
    },
  };
}
