/** A value that tells who listens when it changes: all the state management the map needs. */

let reading = null; // the signals that the work of `reads` has read so far

/** Run work and say which signals it read: [what it gave, Set of signals]. Work inside work reads for itself. */
export function reads(work) {
  const before = reading;
  const read = (reading = new Set());
  try {
    return [work(), read];
  } finally {
    reading = before;
  }
}

/**
 * signal(0) → {value, on(listener), set(value)}. Setting an identical value is silent; listeners get (value, before).
 */
export function signal(initial) {
  const listeners = new Set();
  let current = initial;
  return {
    get value() {
      reading?.add(this);
      return current;
    },
    set(value) {
      if (Object.is(value, current)) return;
      const before = current;
      current = value;
      for (const listener of [...listeners]) listener(value, before);
    },
    update(change) {
      this.set(change(current));
    },
    /** Call now with the current value and on every change; returns a function that stops it. */
    on(listener, { now = true } = {}) {
      listeners.add(listener);
      if (now) listener(current, undefined);
      return () => listeners.delete(listener);
    },
  };
}

/**
 * What follows from signals: worked out when it is asked for, and anew only after one of them has changed. Listeners
 * hear that it may be another.
 */
export function derived(work) {
  const listeners = new Set();
  let current;
  let stops = null; // null: to be worked out
  const stale = () => {
    if (!stops) return;
    for (const stop of stops) stop();
    stops = null;
    for (const listener of [...listeners]) listener();
  };
  return {
    get value() {
      reading?.add(this);
      if (!stops) {
        const [given, read] = reads(work);
        current = given;
        stops = [...read].map((one) => one.on(stale, { now: false }));
      }
      return current;
    },
    on(listener, { now = true } = {}) {
      listeners.add(listener);
      if (now) listener(this.value);
      return () => listeners.delete(listener);
    },
  };
}

/** Run after the last of many calls within `wait` ms. */
export function debounce(work, wait) {
  let timer = 0;
  const later = (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...args), wait);
  };
  later.cancel = () => clearTimeout(timer);
  return later;
}

/** Run asynchronous work one at a time, skipping to the newest arguments that came meanwhile (sliders, hover). */
export function latest(work) {
  let running = false;
  let waiting = null;
  return async function run(...args) {
    if (running) {
      waiting = args;
      return;
    }
    running = true;
    try {
      await work(...args);
    } finally {
      running = false;
      if (waiting) {
        const next = waiting;
        waiting = null;
        run(...next);
      }
    }
  };
}

/** Run asynchronous jobs strictly one after another, in the order asked for. */
export function queue() {
  let last = Promise.resolve();
  return (job) => {
    const result = last.then(job, job);
    last = result.catch(() => {});
    return result;
  };
}
