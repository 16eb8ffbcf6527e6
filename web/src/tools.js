/**
 * The tools: which one is in the hand, what it draws with, what it says above the map. A tool's own file declares its
 * icon, label, keys and order; the toolbar, the help of keys and what a key does follow from that.
 */

import { makers } from "all-tools"; // every file of tools/, put together by build.mjs

/**
 * A file of tools/ exports `tool`, a function of the context that gives {id, label, icon, keys, order, advice(),
 * start(), stop(), cancel()}; cancel gives true if there was something to cancel. Where it has any: enter() for Enter
 * and remove() for Del (true if it had a use for the key), dragDraws (a drag with the left button is its own),
 * shiftDrags (a drag with Shift is), clicks (it works on the outline that is being clicked), questions (it answers the
 * model's), brush, makes (it makes objects, which have label and columns), drawing (what its half-drawn shape is
 * called; it then has restore(corners)). No tool keeps a way back of its own: see history.js.
 */
export function createTools(context) {
  const list = makers.map((make) => make(context)).sort((a, b) => a.order - b.order);
  const current = context.state.tool;
  context.keys.declare(list.map(({ id, label, keys }) => ({ id: `tool.${id}`, label, keys, group: "Tools" })));

  function use(id) {
    const next = list.find((tool) => tool.id === id);
    if (!next || next === current.value) return;
    current.value?.stop();
    context.stage.element.className = context.stage.element.className.replace(/\s*\btool-\w+/g, "");
    context.stage.element.classList.add(`tool-${id}`);
    next.start();
    current.set(next);
  }

  return { list, current, use, is: (id) => current.value?.id === id };
}
