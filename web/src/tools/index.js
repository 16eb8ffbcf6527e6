/** The tools: which one is in the hand, what it draws with, what it says above the map. */

import { signal } from "../signal.js";
import { clickTool } from "./click.js";
import { selectTool } from "./select.js";
import { drawTool, holeTool, splitTool } from "./sketch.js";
import { vertexTool } from "./vertex.js";
import { brushTool } from "./brush.js";

/** A tool is {id, label, icon, advice, start(), stop(), cancel() → true if there was something to cancel, enter?, back?}. */
export function createTools(context) {
  const list = [
    clickTool(context),
    selectTool(context),
    drawTool(context),
    vertexTool(context),
    splitTool(context),
    holeTool(context),
    brushTool(context, true),
    brushTool(context, false),
  ];
  const current = signal(null);

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
