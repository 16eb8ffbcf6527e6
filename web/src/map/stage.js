/**
 * The OpenLayers map on one image. Its coordinates are the image's pixels with y up: (x, −y), the corner of the first
 * pixel at 0, 0; one map unit is one image pixel, so nothing is ever warped, whatever the image's coordinate system.
 */

import OlMap from "ol/Map.js";
import View from "ol/View.js";
import { createEmpty, extend } from "ol/extent.js";
import Feature from "ol/Feature.js";
import Point from "ol/geom/Point.js";
import TileLayer from "ol/layer/Tile.js";
import VectorImageLayer from "ol/layer/VectorImage.js";
import VectorLayer from "ol/layer/Vector.js";
import VectorSource from "ol/source/Vector.js";
import LayerGroup from "ol/layer/Group.js";
import ImageTile from "ol/source/ImageTile.js";
import Projection from "ol/proj/Projection.js";
import TileGrid from "ol/tilegrid/TileGrid.js";
import DragPan from "ol/interaction/DragPan.js";
import MouseWheelZoom from "ol/interaction/MouseWheelZoom.js";
import PinchZoom from "ol/interaction/PinchZoom.js";
import Kinetic from "ol/Kinetic.js";
import { api } from "../api.js";
import { frameOf, toMap } from "../geometry.js";
import { shapeOf } from "./shapes.js";
import { createStyles } from "./styles.js";

export function createStage({ element, state, hand, project, display }) {
  const styles = createStyles(project, display);
  const sources = Object.fromEntries(
    ["objects", "proposals", "outline", "clicks", "sketch"].map((name) => [name, new VectorSource()]),
  );
  const base = new TileLayer({ className: "base", preload: 1, cacheSize: 1024 });
  const above = new LayerGroup();
  const layers = {
    // drawn as one picture that moves with the map: thousands of objects pan as smoothly as none
    objects: new VectorImageLayer({
      className: "swiped",
      source: sources.objects,
      style: styles.object,
      imageRatio: 1.3,
      renderBuffer: 60,
    }),
    proposals: new VectorLayer({
      className: "swiped",
      source: sources.proposals,
      style: styles.proposal,
      updateWhileInteracting: true,
    }),
    outline: new VectorLayer({
      className: "swiped",
      source: sources.outline,
      style: styles.outline,
      updateWhileInteracting: true,
      updateWhileAnimating: true,
    }),
    sketch: new VectorLayer({ source: sources.sketch, style: styles.sketch, updateWhileInteracting: true }),
    clicks: new VectorLayer({
      source: sources.clicks,
      style: styles.click,
      updateWhileInteracting: true,
      updateWhileAnimating: true,
    }),
  };
  const pan = new DragPan({ condition: (event) => mayPan(event), kinetic: new Kinetic(-0.005, 0.05, 100) });
  const map = new OlMap({
    target: element,
    layers: [base, above, ...Object.values(layers)],
    controls: [],
    interactions: [pan, new MouseWheelZoom({ duration: 140, timeout: 40 }), new PinchZoom()],
    maxTilesLoading: 12,
    moveTolerance: 3,
  });
  map.setView(new View({ center: [0, 0], zoom: 0 }));

  let spaceHeld = false;
  window.addEventListener("keydown", (event) => (spaceHeld ||= event.key === " "));
  window.addEventListener("keyup", (event) => event.key === " " && (spaceHeld = false));
  window.addEventListener("blur", () => (spaceHeld = false));

  const { loading, resolution, cursor } = state;
  let grid = null; // of the shown image: {projection, tileGrid}
  /** Left drag pans unless the tool in the hand has a use for it; the middle button and Space always pan. */
  function mayPan({ originalEvent: { button, shiftKey } }) {
    const { dragDraws, shiftDrags } = hand.tool.value ?? {};
    return button === 1 || (button === 0 && (spaceHeld || !dragDraws) && !(shiftDrags && shiftKey));
  }

  const stage = {
    map,
    element,
    layers,
    sources,
    styles,
    ...state,
    display,
    get panningByKey() {
      return spaceHeld;
    },

    showImage(image) {
      const extent = [0, -image.height, image.width, 0];
      const projection = new Projection({ code: `pixels:${image.id}`, units: "pixels", extent });
      const levels = Array.from({ length: image.max_zoom + 1 }, (_, z) => 2 ** (image.max_zoom - z));
      const tileGrid = new TileGrid({ extent, origin: [0, 0], resolutions: levels, tileSize: image.tile_size });
      grid = { projection, tileGrid };
      stage.showTiles(image);
      const margin = 0.5 * Math.max(image.width, image.height);
      map.setView(
        new View({
          projection,
          extent: [extent[0] - margin, extent[1] - margin, extent[2] + margin, extent[3] + margin],
          showFullExtent: true,
          maxResolution: (2 * Math.max(image.width, image.height)) / 400,
          minResolution: 1 / 24,
          center: [image.width / 2, -image.height / 2],
          resolution: 1,
          constrainRotation: false,
          enableRotation: false,
        }),
      );
      map.getView().on("change:resolution", () => resolution.set(map.getView().getResolution()));
      for (const source of Object.values(sources)) source.clear(true);
      stage.fit(extent, { duration: 0, padding: 24 });
    },
    showTiles(image) {
      const url = api.tileUrl(image.id, { version: image.version, ...display.tiles.value });
      const source = new ImageTile({ url, ...grid, wrapX: false, interpolate: false, transition: 120 });
      source.on("tileloadstart", () => loading.update((n) => n + 1));
      source.on(["tileloadend", "tileloaderror"], () => loading.update((n) => Math.max(0, n - 1)));
      loading.set(0);
      base.setSource(source);
    },
    /** What lies between the picture and the outlines: [{id, version, opacity}], the first at the bottom. */
    showHeatmaps(image, wanted) {
      const drawn = above.getLayers();
      const key = ({ id, version }) => `${image.id} ${id} ${version}`;
      const keys = new Set(wanted.map(key));
      for (const layer of [...drawn.getArray()]) if (!keys.has(layer.get("key"))) drawn.remove(layer);
      for (const item of wanted) {
        let layer = drawn.getArray().find((one) => one.get("key") === key(item));
        if (!layer) {
          const source = new ImageTile({
            url: api.layerUrl(image.id, item),
            ...grid,
            wrapX: false,
            interpolate: false,
            transition: 0,
          });
          layer = new TileLayer({ className: "heat", source });
          layer.set("key", key(item));
          drawn.push(layer);
        }
        layer.setOpacity(item.opacity);
      }
    },

    /** Show an extent [minx, miny, maxx, maxy] of the map. */
    fit(extent, { duration = 260, padding = 60, maxZoomIn = 0.25 } = {}) {
      map.updateSize();
      map
        .getView()
        .fit(extent, { padding: [padding + 20, padding, padding, padding], duration, minResolution: maxZoomIn });
    },
    fitImage() {
      const image = project.image.value;
      if (image) stage.fit([0, -image.height, image.width, 0], { padding: 24 });
    },
    /** The box around objects of the shown image. */
    extentOf: (uuids) =>
      uuids.reduce(
        (box, uuid) => extend(box, sources.objects.getFeatureById(uuid)?.getGeometry()?.getExtent() ?? createEmpty()),
        createEmpty(),
      ),
    zoomBy(steps) {
      const view = map.getView();
      view.animate({ zoom: view.getZoom() + steps, duration: 160 });
    },
    centreOn([x, y]) {
      map.getView().animate({ center: [x, y], duration: 220 });
    },
    /**
     * What the server calls a view: bounds in pixels with y down, cut to the image, and image pixels per screen pixel.
     */
    view() {
      const image = project.image.value;
      const [x0, y0, x1, y1] = map.getView().calculateExtent(map.getSize());
      const clip = (value, most) => Math.min(Math.max(value, 0), most);
      const bounds = [clip(x0, image.width), clip(-y1, image.height), clip(x1, image.width), clip(-y0, image.height)];
      return { bounds, resolution: map.getView().getResolution() };
    },
    isInView([x, y]) {
      const [x0, y0, x1, y1] = map.getView().calculateExtent(map.getSize());
      return x > x0 && x < x1 && y > y0 && y < y1;
    },
    isOnImage([x, y]) {
      const image = project.image.value;
      return Boolean(image) && x >= 0 && -y >= 0 && x <= image.width && -y <= image.height;
    },

    /**
     * Whether an object is drawn at all, and whether tools may take hold of it: its class is neither hidden nor
     * locked.
     */
    isShown: (feature) => !display.hidden.value.has(feature.get("class") ?? ""),
    isFree: (feature) => stage.isShown(feature) && !display.locked.value.has(feature.get("class") ?? ""),

    /** Objects under a place that may be taken hold of, smallest first. */
    objectsAt(pixel) {
      const found = map.getFeaturesAtPixel(pixel, {
        layerFilter: (layer) => layer === layers.objects,
        hitTolerance: 2,
      });
      return found.filter(stage.isFree).sort((a, b) => a.get("area") - b.get("area"));
    },
    /** How far the pointer may go, in pixels of the screen, before a click is a drag: corners are moved by less. */
    steadiness(px = 3) {
      const handler = map.mapBrowserEventHandler_;
      if (handler) handler.moveTolerance_ = px;
    },
    /** Draw the eye to a place for a moment. */
    ping(place) {
      const feature = new Feature(new Point(place));
      feature.setStyle(styles.ping);
      sources.sketch.addFeature(feature);
      setTimeout(() => sources.sketch.removeFeature(feature), 2500);
    },
    proposalAt: (pixel) =>
      map.getFeaturesAtPixel(pixel, { layerFilter: (layer) => layer === layers.proposals, hitTolerance: 3 })[0],

    /** Bring the objects' layer to what the project holds, touching only what changed. */
    showObjects(objects, before) {
      const source = sources.objects;
      if (!before || before.size === 0) source.clear(true);
      else for (const uuid of before.keys()) if (!objects.has(uuid)) source.removeFeature(source.getFeatureById(uuid));
      const fresh = [];
      for (const [uuid, object] of objects) {
        if (before?.get(uuid) === object) continue;
        const known = source.getFeatureById(uuid);
        const feature = known ?? new Feature();
        feature.setId(uuid);
        feature.setGeometry(object.geometry ? shapeOf(toMap(object.geometry)) : undefined);
        const { class: name, status, score } = object.properties;
        feature.setProperties(
          { class: name, status, score, label: object.properties.label, area: feature.getGeometry()?.getArea?.() ?? 0 },
          true,
        );
        if (!known) fresh.push(feature);
        else feature.changed();
      }
      if (fresh.length) source.addFeatures(fresh);
    },
    /** Put one geometry (or none) into the outline's layer under a name: "answer", "preview" or "area". */
    showOutline(name, geometry) {
      const source = sources.outline;
      const known = source.getFeatureById(name);
      if (!geometry) {
        if (known) source.removeFeature(known);
        return;
      }
      const shape = shapeOf(toMap(geometry));
      if (known) known.setGeometry(shape);
      else {
        const feature = new Feature(shape);
        feature.setId(name);
        source.addFeature(feature);
      }
    },
    /** Show the box {x1, y1, x2, y2} that was drawn around a thing, in pixels with y down; none takes it away. */
    showBox(box) {
      stage.showOutline("box", box ? frameOf([box.x1, box.y1, box.x2, box.y2]) : null);
    },
    showClicks(clicks, hint) {
      const features = clicks.map(({ x, y, positive, pending }, i) => {
        const feature = new Feature(new Point([x, -y]));
        feature.setProperties(
          { kind: positive ? "include" : "exclude", pending: Boolean(pending), last: i === clicks.length - 1 },
          true,
        );
        return feature;
      });
      if (hint) {
        const feature = new Feature(new Point([hint.x, -hint.y]));
        feature.set("kind", "hint", true);
        features.push(feature);
      }
      sources.clicks.clear(true);
      sources.clicks.addFeatures(features);
    },
    redraw() {
      for (const layer of Object.values(layers)) layer.changed();
    },
  };

  element.addEventListener("pointermove", (event) => cursor.set(map.getEventCoordinate(event)));
  element.addEventListener("pointerleave", () => cursor.set(null));
  element.addEventListener("contextmenu", (event) => event.preventDefault());
  map.on("pointerdrag", () => element.classList.toggle("panning", !hand.tool.value?.dragDraws || spaceHeld));
  map.on("moveend", () => {
    element.classList.remove("panning");
    resolution.set(map.getView().getResolution());
    element.dataset.extent = map.getView().calculateExtent(map.getSize()).join(" ");
  });
  element.addEventListener("pointerup", () => element.classList.remove("panning"));
  new ResizeObserver(() => map.updateSize()).observe(element);
  return stage;
}
