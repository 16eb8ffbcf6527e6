/** The outline under the cursor, before the first click. */

import { api } from "./api.js";
import { debounce, latest } from "./signal.js";

/** `ensure` gives the open outline to ask, `body` what it would be opened for, `gone` hears that the server lost it. */
export function createHovering({ project, stage, openOutline, busy, begun, ensure, body, gone }) {
  let asked = null;
  let under = null;

  const look = latest(async (point) => {
    if (begun() || busy.value || !stage.isOnImage(point)) return;
    try {
      const current = await ensure({ looking: true });
      if (begun()) return;
      asked = new AbortController();
      const answer = await api.preview(current.id, { x: point[0], y: -point[1], positive: true }, asked.signal);
      if (begun() || openOutline.value?.id !== current.id) return;
      if (answer.ready) stage.showOutline("preview", answer.outline?.empty ? null : answer.outline?.geometry);
      else warm(point);
    } catch (error) {
      if (error.status === 404) gone();
    }
  });
  const warm = debounce((point) => {
    const { image, target, view } = body();
    api.prefetch(image, { x: point[0], y: -point[1], target, view }).catch(() => {});
  }, 220);
  const soon = debounce((point) => look(point), 45);
  const rested = debounce((point) => look(point), 600); // everything alike is much work: only where the mouse rests
  const lookSoon = (point) => (project.target.value === "class" ? rested : soon)(point);

  return {
    at(point) {
      under = point;
      if (!begun()) lookSoon(point);
    },
    /** The model has looked at more of the image: the outline under the cursor may be known now. */
    again() {
      if (under && !begun()) lookSoon(under);
    },
    cancel({ keep = false } = {}) {
      under = null;
      soon.cancel();
      rested.cancel();
      warm.cancel();
      asked?.abort();
      if (!keep) stage.showOutline("preview", null);
    },
  };
}
