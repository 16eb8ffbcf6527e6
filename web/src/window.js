/**
 * Which window this is. The server keeps one history of acts per window; a reload keeps the name, a second tab gets its
 * own, also one that the browser made by duplicating this one.
 */

const NAME = "terraclick.window";

const fresh = () => crypto.getRandomValues(new Uint32Array(3)).reduce((text, number) => text + number.toString(36), "");

const read = () => {
  try {
    return sessionStorage.getItem(NAME);
  } catch {
    return null;
  }
};
const keep = (name) => {
  try {
    sessionStorage.setItem(NAME, name);
  } catch {
    // a browser that keeps nothing begins a new history at every load
  }
  return name;
};

/**
 * The name of this window. Whoever holds the lock of a name has it; where the browser has no locks the name is taken.
 */
export async function windowName() {
  const known = read();
  const name = known ?? keep(fresh());
  if (!navigator.locks) return name;
  const hold = (wanted) =>
    new Promise((resolve) => {
      navigator.locks.request(`${NAME}.${wanted}`, { ifAvailable: true }, (lock) => {
        resolve(Boolean(lock));
        return lock ? new Promise(() => {}) : undefined;
      });
    });
  // the page before a reload may still be letting go
  for (let tries = 0; tries < 4; tries++) {
    if (await hold(name)) return name;
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  const own = keep(fresh());
  await hold(own);
  return own;
}

/**
 * What this window remembers over a reload: which image it shows, which class is in the hand, which outline is open.
 */
export const memory = {
  get(key) {
    try {
      return JSON.parse(sessionStorage.getItem(`terraclick.${key}`) ?? "null");
    } catch {
      return null;
    }
  },
  set(key, value) {
    try {
      sessionStorage.setItem(`terraclick.${key}`, JSON.stringify(value));
    } catch {
      // remembered for this page only
    }
  },
};

/** What this browser remembers for good. */
export const lasting = {
  get(key) {
    try {
      return JSON.parse(localStorage.getItem(`terraclick.${key}`) ?? "null");
    } catch {
      return null;
    }
  },
  set(key, value) {
    try {
      localStorage.setItem(`terraclick.${key}`, JSON.stringify(value));
    } catch {
      // remembered for this page only
    }
  },
};
