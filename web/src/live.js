/** What the page shows is a function of signals: components that are drawn anew when a signal they read has changed. */

import { Component, h, render } from "preact";
import { reads } from "./signal.js";

const differ = (one, other) =>
  Object.keys(one).length !== Object.keys(other).length || Object.keys(one).some((name) => one[name] !== other[name]);

/** A Preact component of a function of props: drawn anew for other props, and for every signal that it has read. */
export const live = (draw) =>
  class extends Component {
    followed = new Map();
    shouldComponentUpdate(props) {
      return differ(props, this.props);
    }
    render(props) {
      const [drawn, read] = reads(() => draw(props));
      for (const [one, stop] of this.followed)
        if (!read.has(one)) {
          stop();
          this.followed.delete(one);
        }
      for (const one of read)
        if (!this.followed.has(one))
          this.followed.set(
            one,
            one.on(() => this.forceUpdate(), { now: false }),
          );
      return drawn;
    }
    componentWillUnmount() {
      for (const stop of this.followed.values()) stop();
    }
  };

/** Draw a component into an element that stays; gives what takes it away again. */
export function mount(component, props, element) {
  render(h(component, props), element);
  return () => render(null, element);
}

/** A field of a form whose values are one signal {name: value}: value and what follows from typing. */
export const bound = (form, name) => ({
  value: form.value[name],
  onInput: ({ target }) => form.update((all) => ({ ...all, [name]: target.value })),
});
