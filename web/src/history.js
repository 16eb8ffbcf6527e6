/**
 * Undo and redo. The server holds one list of acts for this window, whatever they were: clicks on an open outline,
 * corners of a half-drawn shape, objects, classes, examples, imports. Here acts only wait for their turn, one after the
 * other, and undo takes back the newest wherever it was done.
 */

import { queue } from "./signal.js";

/** A name of its own for each act, by which the server tells how far it is. */
const name = () => crypto.getRandomValues(new Uint32Array(3)).reduce((text, number) => text + number.toString(36), "a");

export function createHistory({ state: { state }, api, caller = {}, turned = () => {}, onError = () => {} }) {
  const line = queue();
  /** Jobs run one after the other; what a job asks of the server is a part of the act it was asked for in. */
  const inOrder = (job) => {
    const act = caller.act || name();
    return line(async () => {
      caller.running = act;
      try {
        return await job();
      } finally {
        caller.running = "";
      }
    });
  };
  const part = (values) => state.set({ ...state.value, ...values });

  const turn = (verb) =>
    inOrder(async () => {
      part({ busy: state.value.busy + 1 });
      try {
        const change = await api[verb]();
        await turned(change, verb);
        return change;
      } catch (error) {
        if (error.status === 404 && error.kind === "UnknownName") return null;
        await onError(error, verb);
        return undefined;
      } finally {
        part({ busy: state.value.busy - 1 });
      }
    });

  return {
    state,
    /** Do something that the server keeps, after all that was asked for before. */
    inOrder,
    /** What can be undone and redone, as the server says. */
    tell: (undo, redo) => part({ undo, redo }),
    /** Both give what changed, null if there is nothing left, undefined if it did not work (said already). */
    undo: () => turn("undo"),
    redo: () => turn("redo"),
  };
}
