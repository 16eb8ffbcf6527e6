/** The line to the server: what it tells, what is said when it breaks, and what is taken up when it is back. */

import { api, caller } from "./api.js";
import { debounce } from "./signal.js";

export function createConnection({ project, clicking, sketches, drafts, history, encoding, toast }) {
  const encodingGone = debounce(() => encoding.set(null), 600);
  const reloadObjects = debounce(() => project.loadObjects().catch(project.explain), 200);

  function listen() {
    api.events(
      {
        encode({ image, done, total }) {
          if (image !== project.image.value?.id) return;
          encoding.set(done < total ? { done, total } : null);
          if (done >= total) clicking.hovering.again();
          encodingGone();
        },
        answer: ({ session, outline }) => clicking.rough(session, outline),
        objects({ changed = [], deleted = [], by }) {
          const known = project.objects.value;
          const fresh = changed.filter(
            (feature) =>
              known.get(feature.id) === undefined || known.get(feature.id).properties.rev < feature.properties.rev,
          );
          const gone = deleted.filter((uuid) => known.has(uuid));
          if (by === project.state.value?.user && !fresh.length && !gone.length) return;
          project.apply({ objects: fresh, deleted: gone });
        },
        reload: ({ window: by }) => by !== caller.window && reloadObjects(), // ours was told by the answer
        trouble: ({ message }) => {
          project.setTrouble({ kind: "disk", text: message });
          toast.error(message);
        },
        classes: () => project.loadClasses(),
        references: () => project.loadReferences(),
        images: () => project.refreshState(),
        progress,
      },
      lineChanged,
    );
  }

  /** An act on many objects: how far it is, and a way to give it up. */
  let closeProgress = null;
  function progress({ act, done, total }) {
    if (caller.running !== act) return;
    const text = `${done.toLocaleString("en")} of ${total.toLocaleString("en")} objects…`;
    closeProgress = toast.progress(text, { label: "Cancel", run: () => api.cancelAct(act).catch(() => {}) }, "act");
  }
  history.state.on(() => closeDone(), { now: false });
  project.saved.on(() => closeDone(), { now: false });
  function closeDone() {
    if (!caller.running || project.saved.value.kind === "pending") return;
    closeProgress?.();
    closeProgress = null;
  }

  let closeLine = null;
  /** What is said of the line to the server stays until it is another. */
  function lineChanged(how) {
    closeLine?.();
    closeLine = null;
    if (how === "back") {
      project.setTrouble(null);
      toast.good("Connected again. Everything that was kept is there.");
      history.inOrder(takeUp);
      return;
    }
    const text =
      how === "locked"
        ? "The server is running again, but with a new token: open the address that terraclick serve printed. " +
          "Everything that was kept is there."
        : "The connection to the server is gone. Is “terraclick serve” still running? The map goes on by itself " +
          "when it is back.";
    project.setTrouble({ kind: "line", text });
    closeLine = toast.error(text);
  }

  /** After a break: what the server has now, and the outline that was open. */
  async function takeUp() {
    try {
      await Promise.all([project.reload(), project.loadObjects(), sketches.load()]);
      const open = clicking.openOutline.value;
      if (open && (clicking.begun() || open.can_undo)) {
        clicking.adopt(null);
        await clicking.resume(open.id);
      } else clicking.adopt(null);
      drafts.refresh();
    } catch (error) {
      project.explain(error);
    }
  }

  /** Rows that another program wrote and that cannot be used: how many, and what is wrong with the first. */
  function sayWhatIsLeftOut() {
    const { count = 0, rows = [] } = project.state.value?.set_aside ?? {};
    if (!count) return;
    const [first] = rows;
    const more = count > 1 ? ` (and ${count - 1} more: see set_aside in /api/state)` : "";
    toast.note(
      `The session holds rows that cannot be used as they are. ${first.table} ${first.row}: ${first.reason}${more}.`,
    );
  }

  return { listen, sayWhatIsLeftOut };
}
