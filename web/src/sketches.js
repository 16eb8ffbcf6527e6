/**
 * Half-drawn shapes: the corners of each tool on each image are kept by the server as they are drawn, so that another
 * tool, another image, a reload or a crash loses none of them, and every corner is an act that undo takes back in its
 * turn.
 */

import { api, caller } from "./api.js";

const toServer = (corners) => corners.map(([x, y]) => [x, -y]);
const toMap = (corners) => corners.map(([x, y]) => [x, -y]);

export function createSketches({ project, history }) {
  /** "tool image" → {id, tool, image, points} with points as the server has them. */
  const known = new Map();
  const key = (tool, image) => `${tool} ${image}`;
  const here = () => project.image.value?.id;
  const wanted = new Map();
  const finished = new Set();

  function note({ id, tool, image, points }) {
    if (points.length) known.set(key(tool, image), { id, tool, image, points });
    else known.delete(key(tool, image));
  }

  const nameOf = (tool, image) =>
    known.get(key(tool, image))?.id.replace(/^sketch-/, "") ??
    `${caller.window}-${tool}-${image}`.replace(/[^A-Za-z0-9_-]/g, "").slice(-64);

  /** Keep the newest corners; while one request waits for its turn the next ones join it. */
  function keep(tool, image, points) {
    const at = key(tool, image);
    const waits = wanted.has(at);
    wanted.set(at, points);
    if (waits) return Promise.resolve();
    return history
      .inOrder(() => {
        const newest = wanted.get(at);
        wanted.delete(at);
        const name = nameOf(tool, image);
        note({ id: `sketch-${name}`, tool, image, points: newest });
        const done = finished.delete(at) && !newest.length;
        return project.keeping(() => api.saveSketch(name, { image, tool, points: newest, finished: done }));
      })
      .then(() => project.refreshState(), project.explain);
  }

  return {
    known,
    note,
    /** Corners that a tool drew on the shown image, in the map's coordinates. */
    of: (tool) => toMap(known.get(key(tool, here()))?.points ?? []),
    changed: (tool, corners) => keep(tool, here(), toServer(corners)),
    clear: (tool) =>
      known.has(key(tool, here())) || wanted.has(key(tool, here())) ? keep(tool, here(), []) : Promise.resolve(),
    /** What the drawing was for: one act, which takes the place of its corners. What comes to nothing was cleared. */
    finish(tool, work) {
      const image = here();
      const before = project.acts();
      return project.together(async () => {
        await work();
        const at = key(tool, image);
        if (project.acts() > before) finished.add(at);
        if (known.has(at) || wanted.has(at)) await keep(tool, image, []);
        finished.delete(at);
      });
    },
    /** Read those that wait on the server, of this window and of windows that are closed. */
    async load() {
      const found = (await api.sketches().catch(() => [])).filter(
        (sketch) => !sketch.elsewhere && sketch.points.length,
      );
      known.clear();
      for (const sketch of found)
        if (!known.has(key(sketch.tool, sketch.image)) || sketch.window === caller.window) note(sketch);
      return found;
    },
  };
}
