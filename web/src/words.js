/**
 * What is typed for the next object: its label and the columns of its class. Columns are offered as they were for the
 * last object of that class; a label is each object's own.
 */

import { memory } from "./window.js";

/** Values that were used before, for the columns that a class has now. */
export const offered = (schema = {}, used = {}) =>
  Object.fromEntries(
    Object.entries(used ?? {}).filter(
      ([name, value]) => schema[name] && value !== null && (schema[name].values?.includes(value) ?? true),
    ),
  );

/** What stays of typed values under another class: those of columns that both have; the others as offered. */
export const carried = (schema, typed, used) => ({ ...offered(schema, used), ...offered(schema, typed) });

/** Values without those that say nothing. */
export const filled = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null));

export function createWords({ state, project }) {
  const { label, whole, attributes, repeated } = state;

  const used = (name) => memory.get("used")?.[name] ?? {};
  const schemaOf = (name) => project.classOf(name)?.schema ?? {};

  function set(words) {
    label.set(words.label ?? "");
    attributes.set({ ...words.attributes });
    repeated.set(false);
  }

  /** Nothing typed yet for the next object of the class in the hand. */
  function begin() {
    const again = offered(schemaOf(project.className.value), used(project.className.value));
    set({ attributes: again });
    repeated.set(Object.keys(again).length > 0);
  }

  project.image.on(() => whole.set(null), { now: false });
  project.className.on((name) => attributes.set(carried(schemaOf(name), attributes.value, used(name))), { now: false });
  project.classes.on(() => !Object.keys(attributes.value).length && begin(), { now: false });

  return {
    ...state,
    set,
    begin,
    change(name, value) {
      attributes.set({ ...attributes.value, [name]: value });
      repeated.set(false);
    },
    empty() {
      attributes.set({});
      repeated.set(false);
    },
    /** What goes into an object: a new one, or the one of that id. */
    said(object = null) {
      const of = whole.value !== object && project.objects.value.has(whole.value) ? { part_of: whole.value } : {};
      return { label: label.value, attributes: { ...filled(attributes.value), ...of } };
    },
    /** They went into an object of a class: the next one begins with its columns. */
    kept(name) {
      memory.set("used", { ...memory.get("used"), [name]: filled(attributes.value) });
      begin();
    },
  };
}
