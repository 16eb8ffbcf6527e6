/** “Find the rest”: what the server proposes, which of it is shown, and keeping or refusing it. */

import { api } from "./api.js";

const count = (n) => (n === 1 ? "proposal" : `${n} proposals`);

/** The shown ones of all that are open: those that are sure enough. `at` is the one in the hand. */
export function among(current) {
  const items = current.all.filter((item) => item.score >= current.least);
  return { ...current, items, at: Math.min(current.at, Math.max(0, items.length - 1)) };
}

/** A list as the server tells it, without those on their way there, with what was chosen for the same list before. */
export function taken(list, before, waiting = new Set()) {
  const { least, at } = before?.id === list.id ? before : { least: 0, at: 0 };
  const { id, image, items, kept, refused } = list;
  const all = items.filter(({ item }) => !waiting.has(item));
  return among({ id, image, class: list.class, all, kept, refused, least, at });
}

/** `addExampleOf(feature)` makes an object an example of its class where that has none. */
export function createProposals({ state: { proposals }, project, stage, clicking, toast, addExampleOf }) {
  const waiting = new Set(); // numbers that are decided here, and not yet on the server

  async function findRest() {
    if (!project.image.value) return null;
    const [chosen] = project.selected();
    if (chosen) await addExampleOf(chosen);
    const name = chosen ? chosen.properties.class : project.className.value;
    if (!project.references.value.some((item) => item.class === name && item.positive))
      return toast.note(`Show what to look for: select an object${name ? ` of class ${name}` : ""} and press F again.`);
    clicking.hovering.cancel();
    const stop = toast.progress(`Looking for more ${name || "of it"} in this view…`);
    try {
      const view = stage.view();
      const shape = clicking.wantedShape();
      const image = project.image.value.id;
      const found = await api.propose({ image, class: name, view, references: "class", limit: 200, ...shape });
      if (proposals.value) api.closeProposals(proposals.value.id).catch(() => {});
      if (!found.items.length) {
        proposals.set(null);
        return toast.note(`Nothing more like your examples of ${name || "this"} was found in this view.`);
      }
      show(found);
      return found;
    } catch (error) {
      return project.explain(error);
    } finally {
      stop();
    }
  }

  /** Show a list as the server tells it; one with nothing to decide is closed. */
  function show(list) {
    if (list.image !== project.image.value?.id) return;
    proposals.set(taken(list, proposals.value, proposals.value?.id === list.id ? waiting : undefined));
    showCurrent();
    if (!list.items.length) close();
  }

  function showCurrent() {
    const item = proposals.value?.items[proposals.value.at];
    const extent = item && stage.sources.proposals.getFeatureById(item.item)?.getGeometry().getExtent();
    if (!extent || (stage.isInView([extent[0], extent[1]]) && stage.isInView([extent[2], extent[3]]))) return;
    stage.centreOn([(extent[0] + extent[2]) / 2, (extent[1] + extent[3]) / 2]);
  }

  /** Keep or refuse some, as one act: they leave the list at once, and come back if the server refuses. */
  async function decide(chosen, yes) {
    const current = proposals.value;
    if (!current || !chosen.length) return;
    const items = chosen.map((item) => item.item);
    for (const number of items) waiting.add(number);
    proposals.set(among({ ...current, all: current.all.filter(({ item }) => !waiting.has(item)) }));
    showCurrent();
    const { id } = current;
    try {
      await project.act(`${yes ? "accept" : "refuse"} ${count(items.length)}`, async () => {
        const change = await (yes
          ? api.acceptProposals(id, { items, class: current.class })
          : api.refuseProposals(id, { items }));
        for (const number of items) waiting.delete(number);
        return change;
      });
    } catch {
      // said by a toast already
      for (const number of items) waiting.delete(number);
      const now = proposals.value;
      if (now?.id === id)
        proposals.set(among({ ...now, all: [...now.all, ...chosen].sort((a, b) => b.score - a.score) }));
    }
  }
  const decideCurrent = (yes) => {
    const current = proposals.value;
    return decide(current ? [current.items[current.at]].filter(Boolean) : [], yes);
  };

  function focusProposal(at) {
    const current = proposals.value;
    if (!current?.items.length) return;
    proposals.set({ ...current, at: (at + current.items.length) % current.items.length });
    showCurrent();
  }

  const setLeast = (least) => proposals.value && proposals.set(among({ ...proposals.value, least }));

  function close() {
    const current = proposals.value;
    if (!current) return false;
    api.closeProposals(current.id).catch(() => {});
    proposals.set(null);
    if (current.kept || current.refused) toast.good(`${current.kept} kept, ${current.refused} refused.`);
    return true;
  }

  project.proposed.on((list) => list && show(list), { now: false });
  return { proposals, findRest, decide, decideCurrent, focusProposal, setLeast, closeProposals: close };
}
