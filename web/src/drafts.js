/**
 * Outlines and drawings that were left open: listed where the map is, for as long as they exist, with a way to go on.
 */

import "./drafts.css";
import { api } from "./api.js";
import { live } from "./live.js";
import { h, icon } from "./markup.js";
import { debounce } from "./signal.js";
import Feature from "ol/Feature.js";
import Point from "ol/geom/Point.js";
import { Circle, Fill, Stroke, Style } from "ol/style.js";

const MOST_SHOWN = 4;
const mark = new Style({
  image: new Circle({
    radius: 9,
    stroke: new Stroke({ color: "#fff", width: 2, lineDash: [3, 3] }),
    fill: new Fill({ color: "rgb(20 24 28 / 55%)" }),
  }),
});

export function createDrafts({ state: { waiting }, project, clicking, stage, tools, history, sketches }) {
  const drawingOf = (id) => tools.list.find((tool) => tool.id === id)?.drawing ?? "Drawing";
  const count = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
  const saidOf = ({ box, clicks }) =>
    [box && "a box", (clicks.length || !box) && count(clicks.length, "click")].filter(Boolean).join(" and ");

  const refresh = debounce(async () => {
    const [sessions, drawn] = await Promise.all([
      api.openOutlines().catch(() => null),
      api.sketches().catch(() => null),
    ]);
    if (!sessions || !drawn) return; // said elsewhere; what is listed stays
    const outlines = sessions
      .filter(
        (one) =>
          one.begun &&
          !one.elsewhere &&
          one.id !== clicking.openOutline.value?.id &&
          project.images.value.some((image) => image.id === one.image),
      )
      .map((one) => ({
        kind: "outline",
        id: one.id,
        image: one.image,
        at: one.clicks[0] ?? (one.box && { x: (one.box.x1 + one.box.x2) / 2, y: (one.box.y1 + one.box.y2) / 2 }),
        words: `Outline of ${saidOf(one)}${one.class ? ` · ${one.class}` : ""}`,
      }));
    const shapes = drawn
      .filter(
        (one) =>
          one.points.length &&
          !one.elsewhere &&
          !(
            one.image === project.image.value?.id &&
            tools.is(one.tool) &&
            sketches.known.get(`${one.tool} ${one.image}`)?.id === one.id
          ),
      )
      .map((one) => ({
        kind: "sketch",
        id: one.id,
        image: one.image,
        tool: one.tool,
        sketch: one,
        at: { x: one.points[0][0], y: one.points[0][1] },
        words: `${drawingOf(one.tool)} of ${count(one.points.length, "corner")}`,
      }));
    waiting.set([...outlines, ...shapes]);
  }, 120);

  function drawMarks() {
    const source = stage.sources.outline;
    for (const feature of source.getFeatures())
      if (String(feature.getId()).startsWith("draft ")) source.removeFeature(feature);
    for (const one of waiting.value) {
      if (one.image !== project.image.value?.id || !one.at) continue;
      const feature = new Feature(new Point([one.at.x, -one.at.y]));
      feature.setId(`draft ${one.id}`);
      feature.setStyle(mark);
      source.addFeature(feature);
    }
  }

  function goOn(one) {
    return history.inOrder(async () => {
      if (one.image !== project.image.value?.id) await project.showImage(one.image);
      if (one.kind === "outline") {
        tools.use("click");
        await clicking.resume(one.id);
      } else {
        sketches.note(one.sketch);
        tools.use(one.tool);
        tools.current.value?.restore?.(sketches.of(one.tool));
      }
      if (one.at && !stage.isInView([one.at.x, -one.at.y])) stage.centreOn([one.at.x, -one.at.y]);
      refresh();
    });
  }

  async function discard(one) {
    if (one.kind === "sketch") {
      sketches.note(one.sketch);
      await history
        .inOrder(() => api.saveSketch(one.id.replace(/^sketch-/, ""), { image: one.image, tool: one.tool, points: [] }))
        .catch(project.explain);
      sketches.note({ ...one.sketch, points: [] });
      if (tools.is(one.tool)) tools.current.value?.restore?.([]);
    } else {
      // its clicks become acts of this window first, so that undo can bring it back
      await history.inOrder(() => api.claim(one.id).then(() => api.closeOutline(one.id))).catch(project.explain);
    }
    project.refreshState();
    refresh();
  }

  waiting.on(drawMarks);
  for (const value of [project.image, clicking.parked, tools.current]) value.on(refresh, { now: false });
  clicking.openOutline.on((now, before) => now?.id !== before?.id && refresh(), { now: false });
  window.addEventListener("focus", refresh);
  return { refresh, waiting, goOn, discard };
}

/** What waits, the shown image's first. */
export const Drafts = live(({ project, drafts }) => {
  const here = project.image.value?.id;
  const nameOf = (image) => project.images.value.find((item) => item.id === image)?.name ?? "another image";
  const all = [...drafts.waiting.value].sort((a, b) => (b.image === here) - (a.image === here));
  const away = "Discard it; undo brings it back";
  return h(
    "div.drafts",
    { role: "region", "aria-label": "Left open" },
    all
      .slice(0, MOST_SHOWN)
      .map((one) =>
        h(
          "div.draft",
          { key: one.id, dataset: { draft: one.id } },
          h("span.words", `Left open: ${one.words}`, one.image !== here && h("small", `on ${nameOf(one.image)}`)),
          h("button.button.small.primary", { onclick: () => drafts.goOn(one) }, "Go on"),
          h("button.tool", { onclick: () => drafts.discard(one), "aria-label": away, title: away }, icon("close", 14)),
        ),
      ),
    all.length > MOST_SHOWN && h("div.draft", h("span.words", `and ${all.length - MOST_SHOWN} more`)),
  );
});
