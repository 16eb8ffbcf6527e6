/**
 * Snapping to the corners and edges of the objects around: never to what is being edited or is not shown, and not while
 * Alt is held.
 */

import Snap from "ol/interaction/Snap.js";

export const SNAP_PX = 8;

/** `spared(feature)` tells which objects are no aims. */
export class Snapping extends Snap {
  constructor(stage, spared = () => false) {
    super({ source: stage.sources.objects, pixelTolerance: SNAP_PX });
    this.spared = (feature) => spared(feature) || !stage.isShown(feature);
  }

  handleEvent(event) {
    return event.originalEvent?.altKey ? true : super.handleEvent(event);
  }

  snapTo(pixel, coordinate, map) {
    const index = this.rBush_; // what the interaction looks its aims up in: narrowed for this one question
    this.rBush_ = { getInExtent: (extent) => index.getInExtent(extent).filter(({ feature }) => !this.spared(feature)) };
    try {
      return super.snapTo(pixel, coordinate, map);
    } finally {
      this.rBush_ = index;
    }
  }
}
