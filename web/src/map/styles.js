/** How things look on the picture: class colours on a dark casing, so that they read on snow and on water. */

import { Circle, Fill, Stroke, Style, Text } from "ol/style.js";
import MultiPoint from "ol/geom/MultiPoint.js";

export function rgba(hex, alpha) {
  const value = /^#[0-9a-f]{6}$/i.test(hex) ? Number.parseInt(hex.slice(1), 16) : 0x9aa5b4;
  return `rgba(${value >> 16}, ${(value >> 8) & 255}, ${value & 255}, ${alpha})`;
}

/** Image pixels in one of the screen from which on the picture is seen from afar. */
const FAR = 1.6;

const casing = (width) => new Style({ stroke: new Stroke({ color: "rgba(0, 0, 0, 0.55)", width }), zIndex: 5 });

export function createStyles(project, display) {
  const cache = new Map();
  const cached = (key, make) => {
    if (!cache.has(key)) {
      if (cache.size > 400) cache.clear();
      cache.set(key, make());
    }
    return cache.get(key);
  };

  function object(feature) {
    if (
      display.peeking.value ||
      feature.getId() === display.opened.value ||
      display.hidden.value.has(feature.get("class") ?? "")
    )
      return undefined;
    const selected = project.selection.value.has(feature.getId());
    const status = feature.get("status");
    const colour = project.colourOf(feature.get("class"));
    const opacity = display.opacity.value;
    const named = display.labels.value ? feature.get("label") || feature.get("class") || "" : "";
    const styles = cached(`${colour}|${status}|${selected}|${opacity}`, () =>
      objectStyle(colour, status, selected, opacity),
    );
    return named ? [...styles, label(named)] : styles;
  }

  function objectStyle(colour, status, selected, opacity) {
    const dashed = { review: [6, 5], imported: [10, 5], rejected: [2, 5], conflict: [3, 4] }[status];
    const shown = status === "rejected" ? opacity * 0.45 : opacity;
    const fill = new Fill({ color: rgba(colour, selected ? shown * 0.3 : shown * 0.42) });
    const stroke = new Stroke({ color: rgba(colour, Math.min(1, 0.35 + shown)), width: 2, lineDash: dashed });
    // dark below, so that every colour is told from every roof by its lightness too
    const below = new Style({
      stroke: new Stroke({ color: `rgba(8, 10, 14, ${Math.min(0.85, 0.4 + shown * 0.5)})`, width: 4 }),
      zIndex: 1,
    });
    // a point is a dot in the colour of its class
    const dot = (radius, border) =>
      new Circle({
        radius,
        fill: new Fill({ color: rgba(colour, 1) }),
        stroke: new Stroke({ color: border, width: 2 }),
      });
    if (!selected) return [below, new Style({ fill, stroke, image: dot(5, "rgba(8, 10, 14, 0.8)"), zIndex: 2 })];
    return [
      casing(6),
      new Style({ fill, stroke: new Stroke({ color: "#ffffff", width: 3 }), image: dot(7, "#ffffff"), zIndex: 6 }),
      new Style({ stroke: new Stroke({ color: colour, width: 1.5 }), zIndex: 7 }),
    ];
  }

  const label = (text) =>
    new Style({
      text: new Text({
        text,
        font: "500 12px Inter, system-ui, sans-serif",
        overflow: false,
        fill: new Fill({ color: "#fff" }),
        stroke: new Stroke({ color: "rgba(0, 0, 0, 0.75)", width: 3 }),
      }),
    });

  function outline(feature) {
    if (display.peeking.value) return undefined;
    const colour = project.colourOf(project.className.value);
    if (feature.getId() === "area") return answered;
    if (feature.getId() === "box") return boxed;
    if (feature.getId() === "preview")
      return cached(`preview|${colour}`, () => [
        new Style({
          stroke: new Stroke({ color: "rgba(0, 0, 0, 0.5)", width: 3.5 }),
          fill: new Fill({ color: rgba(colour, 0.1) }),
        }),
        new Style({ stroke: new Stroke({ color: "rgba(255, 255, 255, 0.92)", width: 1.5, lineDash: [5, 5] }) }),
      ]);
    return cached(`answer|${colour}|${display.opacity.value}`, () => [
      casing(5),
      new Style({
        fill: new Fill({ color: rgba(colour, 0.12 + display.opacity.value * 0.3) }),
        stroke: new Stroke({ color: "#ffffff", width: 2.5 }),
        zIndex: 6,
      }),
      new Style({ stroke: new Stroke({ color: rgba(colour, 0.9), width: 1 }), zIndex: 7 }),
    ]);
  }

  /** The part of the image that an answer for everything alike covers. */
  const answered = new Style({ stroke: new Stroke({ color: "rgba(255, 255, 255, 0.5)", width: 1, lineDash: [2, 6] }) });

  /** The box that was drawn around a thing. */
  const boxed = [
    new Style({ stroke: new Stroke({ color: "rgba(0, 0, 0, 0.5)", width: 3 }), zIndex: 3 }),
    new Style({ stroke: new Stroke({ color: "rgba(255, 255, 255, 0.95)", width: 1.25, lineDash: [7, 4] }), zIndex: 4 }),
  ];

  function proposal(feature) {
    if (display.peeking.value) return undefined;
    const current = feature.get("current");
    return cached(`proposal|${current}`, () =>
      current
        ? [
            casing(6),
            new Style({
              stroke: new Stroke({ color: "#ffd479", width: 3 }),
              fill: new Fill({ color: "rgba(245, 184, 75, 0.28)" }),
              zIndex: 8,
            }),
          ]
        : [
            new Style({
              stroke: new Stroke({ color: "#f5b84b", width: 1.75, lineDash: [6, 4] }),
              fill: new Fill({ color: "rgba(245, 184, 75, 0.12)" }),
            }),
          ],
    );
  }

  const marks = { include: mark("#22c55e", "+"), exclude: mark("#ef4444", "−") };
  /** Seen from afar the marks are small, so that they do not hide small outlines. */
  const far = Object.fromEntries(
    [
      ["include", "#22c55e"],
      ["exclude", "#ef4444"],
    ].map(([kind, colour]) => [
      kind,
      new Style({
        image: new Circle({
          radius: 3.5,
          fill: new Fill({ color: colour }),
          stroke: new Stroke({ color: "#ffffff", width: 1.25 }),
        }),
      }),
    ]),
  );
  const faint = { include: mark("rgba(34, 197, 94, 0.55)", "+"), exclude: mark("rgba(239, 68, 68, 0.55)", "−") };
  const hint = [
    new Style({
      image: new Circle({
        radius: 11,
        fill: new Fill({ color: "rgba(245, 184, 75, 0.18)" }),
        stroke: new Stroke({ color: "#f5b84b", width: 1.75, lineDash: [3, 3] }),
      }),
    }),
    new Style({
      text: new Text({
        text: "?",
        font: "700 12px Inter, system-ui, sans-serif",
        fill: new Fill({ color: "#ffdf9e" }),
        offsetY: 1,
      }),
    }),
  ];
  function click(feature, resolution) {
    const kind = feature.get("kind");
    if (resolution > FAR && kind !== "hint") return far[kind];
    if (kind === "hint") return hint;
    return feature.get("pending") ? faint[kind] : marks[kind];
  }

  const corners = (feature) => {
    const geometry = feature.getGeometry();
    const type = geometry.getType();
    if (type === "Point") return geometry;
    const depth = { MultiPoint: 0, LineString: 0, MultiLineString: 1, Polygon: 1, MultiPolygon: 2 }[type];
    return new MultiPoint(depth === undefined ? [] : geometry.getCoordinates().flat(depth));
  };
  const sketchLine = [
    new Style({ stroke: new Stroke({ color: "rgba(0, 0, 0, 0.55)", width: 4.5 }) }),
    new Style({
      stroke: new Stroke({ color: "#ffffff", width: 2 }),
      fill: new Fill({ color: "rgba(255, 255, 255, 0.14)" }),
    }),
    new Style({
      image: new Circle({
        radius: 4,
        fill: new Fill({ color: "#fff" }),
        stroke: new Stroke({ color: "#0b0e13", width: 1.5 }),
      }),
      geometry: corners,
    }),
  ];
  const vertices = [
    new Style({ stroke: new Stroke({ color: "#ffffff", width: 2 }), zIndex: 9 }),
    new Style({
      image: new Circle({
        radius: 4.5,
        fill: new Fill({ color: "#4cc2a5" }),
        stroke: new Stroke({ color: "#0b0e13", width: 1.5 }),
      }),
      geometry: corners,
      zIndex: 10,
    }),
  ];
  const picked = new Style({
    image: new Circle({
      radius: 6.5,
      fill: new Fill({ color: "#f5b84b" }),
      stroke: new Stroke({ color: "#0b0e13", width: 2 }),
    }),
    zIndex: 12,
  });
  const stem = [
    new Style({ stroke: new Stroke({ color: "rgba(0, 0, 0, 0.6)", width: 3.5 }) }),
    new Style({ stroke: new Stroke({ color: "#ffffff", width: 1.5 }) }),
  ];
  const grip = new Style({
    image: new Circle({
      radius: 8,
      fill: new Fill({ color: "#ffffff" }),
      stroke: new Stroke({ color: "#0b0e13", width: 2 }),
    }),
    text: new Text({
      text: "↻",
      font: "700 12px system-ui, sans-serif",
      fill: new Fill({ color: "#0b0e13" }),
      offsetY: 1,
    }),
    zIndex: 13,
  });
  const ping = [
    new Style({ image: new Circle({ radius: 17, stroke: new Stroke({ color: "rgba(0, 0, 0, 0.7)", width: 5 }) }) }),
    new Style({ image: new Circle({ radius: 17, stroke: new Stroke({ color: "#ffd479", width: 2.5 }) }) }),
  ];
  const handle = new Style({
    image: new Circle({
      radius: 6,
      fill: new Fill({ color: "#ffffff" }),
      stroke: new Stroke({ color: "#4cc2a5", width: 2.5 }),
    }),
  });
  const strokes = {
    paint: new Style({
      fill: new Fill({ color: "rgba(74, 222, 128, 0.4)" }),
      stroke: new Stroke({ color: "#4ade80", width: 1 }),
    }),
    erase: new Style({
      fill: new Fill({ color: "rgba(255, 107, 107, 0.4)" }),
      stroke: new Stroke({ color: "#ff6b6b", width: 1 }),
    }),
  };
  const sketch = (feature) => strokes[feature.get("brush")] ?? sketchLine;

  return { object, outline, proposal, click, sketch, sketchLine, vertices, handle, picked, stem, grip, ping };
}

function mark(colour, sign) {
  return [
    new Style({ image: new Circle({ radius: 8.5, fill: new Fill({ color: "rgba(0, 0, 0, 0.45)" }) }) }),
    new Style({
      image: new Circle({
        radius: 7,
        fill: new Fill({ color: colour }),
        stroke: new Stroke({ color: "#ffffff", width: 1.75 }),
      }),
      text: new Text({
        text: sign,
        font: "700 12px system-ui, sans-serif",
        fill: new Fill({ color: "#ffffff" }),
        offsetY: 1,
      }),
    }),
  ];
}
