/** What follows the pointer over the map, moved at every event: elements of their own, beside the components. */

/** mark("crosshair", {ariaHidden: "true"}) → an element of that class, hidden at first. */
export const mark = (className, props) =>
  Object.assign(document.createElement("div"), { className, hidden: true, ...props });
