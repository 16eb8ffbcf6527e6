/**
 * The tools: which one is in the hand, what it draws with, what it says above the map. A tool's own file declares its
 * icon, label, keys and order; the toolbar, the help of keys and what a key does follow from that.
 */

import { signal } from "../signal.js";
import { brushTool } from "./brush.js";
import { clickTool } from "./click.js";
import { moveTool } from "./move.js";
import { selectTool } from "./select.js";
import { drawTool, holeTool, lineTool, measureTool, pointTool, splitTool } from "./sketch.js";
import { vertexTool } from "./vertex.js";

/**
 * A tool is {id, label, icon, keys, order, advice(), start(), stop(), cancel() → true if there was something to
 * cancel}, and where it has any: enter() for Enter, remove() for Del (both → true if it had a use for the key), back()
 * for undo, dragDraws.
 */
export function createTools(context) {
  const list = [
    clickTool(context),
    selectTool(context),
    moveTool(context),
    drawTool(context),
    lineTool(context),
    pointTool(context),
    vertexTool(context),
    splitTool(context),
    holeTool(context),
    brushTool(context, true),
    brushTool(context, false),
    measureTool(context),
  ].sort((a, b) => a.order - b.order);
  const current = signal(null);
  context.keys.declare(list.map(({ id, label, keys }) => ({ id: `tool.${id}`, label, keys, group: "Tools" })));

  function use(id) {
    const next = list.find((tool) => tool.id === id);
    if (!next || next === current.value) return;
    current.value?.stop();
    context.stage.element.className = context.stage.element.className.replace(/\s*\btool-\w+/g, "");
    context.stage.element.classList.add(`tool-${id}`);
    context.stage.dragDraws = Boolean(next.dragDraws);
    next.start();
    current.set(next);
  }

  return { list, current, use, is: (id) => current.value?.id === id };
}
