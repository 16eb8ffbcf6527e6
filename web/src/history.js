/**
 * Undo and redo of every act. An act is {label, undo, redo}: two functions that may be asynchronous.
 *
 * Accepted objects, deletions, class changes, vertex edits, class edits and examples all pass through here, in the order
 * they were done and without a limit. The clicks of the open outline have their own history, in the server's click
 * session, and go first. Acts of an earlier visit are still known to the server: `earlier` is asked when ours run out.
 */

import { queue, signal } from "./signal.js";

export function createHistory({ onError = () => {}, earlier = () => null } = {}) {
  const done = [];
  const undone = [];
  const inOrder = queue();
  const state = signal({ undo: null, redo: null, busy: false });

  const tell = (busy = false) =>
    state.set({ undo: done.at(-1)?.label ?? null, redo: undone.at(-1)?.label ?? null, busy });

  async function step(from, to, verb) {
    const act = from.pop() ?? earlier(verb);
    if (!act) return null;
    tell(true);
    try {
      await act[verb]();
      to.push(act);
      return act;
    } catch (error) {
      from.push(act);
      onError(error, act, verb);
      return null;
    } finally {
      tell();
    }
  }

  return {
    state,
    /** Remember an act that was just done. */
    push(act) {
      done.push(act);
      undone.length = 0;
      tell();
    },
    /** Do an act and remember it; if doing fails nothing is remembered and the error passes on. */
    perform(act) {
      return inOrder(async () => {
        tell(true);
        try {
          const result = await act.redo();
          this.push(act);
          return result;
        } finally {
          tell();
        }
      });
    },
    undo: () => inOrder(() => step(done, undone, "undo")),
    redo: () => inOrder(() => step(undone, done, "redo")),
    /** A click in an open outline: what was undone before cannot come back. */
    clearRedo() {
      undone.length = 0;
      tell();
    },
    get length() {
      return done.length;
    },
  };
}
