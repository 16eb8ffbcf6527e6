/** In and out: export to a file, import polygons, an example from a picture and its mask. */

import { api } from "../api.js";
import { bound, live } from "../live.js";
import { h, icon } from "../markup.js";
import { signal } from "../signal.js";
import { choice, field, openDialog } from "./dialog.js";

const failed = (text) => h("div.toast.error", { role: "alert" }, icon("warning"), h("span.words", text));
const size = (bytes) => (bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
const named = (items, all) => [["", all], ...items.map(({ id, name }) => [id ?? name, name])];
const checkbox = (form, name) => ({
  type: "checkbox",
  checked: form.value[name],
  onchange: ({ target }) => form.update((all) => ({ ...all, [name]: target.checked })),
});

// --- export ----------------------------------------------------------------------------------------------------------

/** The coordinate systems that an export offers: [name, words]. */
function systemsOf({ session }, images) {
  const systems = new Map([["", "As usual for the format"]]);
  if (session.crs) systems.set(session.crs, `${session.crs_name} (${session.crs}), as the session`);
  for (const { crs, crs_name, name } of images)
    if (crs && !systems.has(crs)) systems.set(crs, `${crs_name} (${crs}), as ${name}`);
  if (session.crs && !systems.has("EPSG:4326")) systems.set("EPSG:4326", "Longitude, latitude (EPSG:4326)");
  return [...systems, ...(session.crs ? [["other", "Another one…"]] : [])];
}

/** What is to be known of the chosen format before it is written. */
const warnings = ({ pixels, several, name }, { image, crs }, images, placed) =>
  [
    pixels &&
      !several &&
      !image &&
      images.length > 1 &&
      "One file for each image that has objects, all with the class numbers of the session; the download is a zip.",
    name === "geojson" &&
      !placed &&
      "The images have no place on the Earth: the file is in pixels, and other programs may take them for " +
        "degrees. A GeoPackage says that they are none.",
    name === "geojson" &&
      crs &&
      crs !== "EPSG:4326" &&
      "GeoJSON in another system than longitude and latitude is read by few programs.",
  ].filter(Boolean);

export async function exportDialog({ project }) {
  const formats = await api.formats().catch((error) => (project.explain(error), []));
  if (!formats.length) return;
  const { session, statuses } = project.state.value;
  const [images, classes] = [project.images.value, project.classes.value];
  const systems = systemsOf(project.state.value, images);
  const form = signal({
    format: (formats.find(({ name }) => name === "gpkg") ?? formats[0]).name,
    name: session.name.replace(/\.\w+$/, ""),
    ...{ image: "", class: "", status: "", crs: "", other: "", overwrite: false },
  });
  const done = signal(null);
  const chosen = () => formats.find(({ name }) => name === form.value.format);
  const placeable = () => Boolean(session.crs) && !chosen().pixels;

  async function submit() {
    const { format, name, image, class: of, status, crs, other, overwrite } = form.value;
    const system = !placeable() ? null : (crs === "other" ? other.trim() : crs) || null;
    try {
      const wanted = { image: image || null, class: of || null, status: status || null, crs: system };
      done.set(written(await api.export({ format, name: name.trim(), overwrite, ...wanted })));
    } catch (error) {
      done.set(failed(error.message));
    }
    return false;
  }

  openDialog({
    title: "Export",
    content: () => {
      const { format, crs } = form.value;
      const said = warnings(chosen(), form.value, images, Boolean(session.crs));
      return [
        h(
          "div.formats",
          { role: "radiogroup", "aria-label": "Format" },
          formats.map(({ name, label, note }) =>
            h(
              "label.format",
              h("input", {
                type: "radio",
                name: "format",
                value: name,
                checked: name === format,
                onchange: () => form.update((all) => ({ ...all, format: name })),
              }),
              h("span", h("b", label), h("small", note)),
            ),
          ),
        ),
        h(Result, { done }),
        h(
          "div.fields",
          field("File name", h("input", { type: "text", required: true, maxLength: 80, ...bound(form, "name") })),
          field("Image", choice(named(images, "All images"), bound(form, "image"))),
          field("Class", choice(named(classes, "All classes"), bound(form, "class"))),
          field("State", choice([["", "All states"], ...statuses.map((one) => [one, one])], bound(form, "status"))),
          field(
            "Coordinate system",
            h(
              "div.stack",
              choice(systems, { "aria-label": "Coordinate system", disabled: !placeable(), ...bound(form, "crs") }),
              h("input", {
                type: "text",
                placeholder: "EPSG:3857",
                "aria-label": "Name of the coordinate system",
                hidden: !placeable() || crs !== "other",
                ...bound(form, "other"),
              }),
            ),
          ),
        ),
        h("p.muted", { hidden: !said.length }, said.join(" ")),
        h("label.check", h("input", checkbox(form, "overwrite")), "Replace a file of that name"),
      ];
    },
    leave: "Close",
    main: () => [icon("export", 15), "Export"],
    submit,
  });
}

/** What came of it, scrolled to when it comes. */
const Result = live(({ done }) =>
  h(
    "div.result",
    { role: "status", ref: (element) => done.value && element?.scrollIntoView({ block: "nearest" }) },
    done.value,
  ),
);

function written({ name, objects, bytes, note }) {
  const href = `api/exports/${encodeURIComponent(name)}`;
  return h(
    "div.toast.good",
    icon("check"),
    h(
      "span.words",
      h("b", name),
      ` · ${objects} ${objects === 1 ? "object" : "objects"} · ${size(bytes)}`,
      note && h("small.left-out", `${note[0].toUpperCase()}${note.slice(1)}.`),
    ),
    h("a.button.small", { href, download: name }, "Download"),
  );
}

// --- import ----------------------------------------------------------------------------------------------------------

/** A place to drop a file on or to choose one; `file` is the signal of what was chosen. */
const Drop = live(({ text, accept, file, over }) => {
  const enter = (on) => (event) => (event.preventDefault(), over.set(on));
  const take = ([one]) => one && file.set(one);
  return h(
    "label.drop",
    {
      tabIndex: 0,
      class: over.value ? "over" : undefined,
      ondragover: enter(true),
      ondragleave: enter(false),
      ondrop: (event) => (enter(false)(event), take(event.dataTransfer.files)),
      onkeydown: (event) =>
        event.key === "Enter" && (event.preventDefault(), event.currentTarget.querySelector("input").click()),
    },
    icon("import", 24),
    h("span", file.value?.name ?? text),
    h("input", { type: "file", accept, hidden: true, onchange: ({ target }) => take(target.files) }),
  );
});

/** ", 3 of them on …": how many objects [[image, number], …] went to other images than the shown one. */
function spread(elsewhere, images) {
  if (!elsewhere.length) return "";
  const only = elsewhere.length === 1 && images.find(({ id }) => id === elsewhere[0][0]);
  const where = only ? only.name : elsewhere.length === 1 ? "another image" : `${elsewhere.length} other images`;
  return `, ${elsewhere.reduce((sum, [, n]) => sum + n, 0)} of them on ${where}`;
}

const placesOf = (session, image) =>
  [
    ["", "As the file says (GeoJSON: longitude, latitude)"],
    session.crs && ["EPSG:4326", "Longitude, latitude (EPSG:4326)"],
    session.crs && ["session", `${session.crs_name}, as the session`],
    image.crs && image.crs !== session.crs && ["image", `${image.crs_name}, as this image`],
    ["pixels", "Pixels of this image"],
    session.crs && ["other", "Another system…"],
  ].filter(Boolean);

export function importDialog({ project, actions, toast, stage }, dropped) {
  api.prepareImport().catch(() => {}); // the import itself says what is wrong
  const { session } = project.state.value;
  const image = project.image.value;
  const places = placesOf(session, image);
  const file = signal(dropped ?? null);
  const over = signal(false);
  const form = signal({ class: "", place: "", other: "" });
  const report = signal(null);
  file.on(() => report.set(null), { now: false });

  async function submit() {
    if (!file.value) return (report.set(failed("Choose a file first.")), false);
    const { class: name, place, other } = form.value;
    try {
      const change = await actions.importFile(file.value, {
        class: name,
        crs: place === "other" ? other.trim() : place,
      });
      if (change.reload) await project.loadObjects();
      const uuids = [...project.objects.value.values()]
        .filter(({ properties }) => properties.status === "imported" && properties.image === image.id)
        .map((feature) => feature.id);
      if (change.by_image[image.id] && uuids.length) stage.fit(stage.extentOf(uuids));
      const elsewhere = Object.entries(change.by_image).filter(([id]) => id !== image.id);
      const many = `${change.imported.toLocaleString("en")} ${change.imported === 1 ? "polygon" : "polygons"}`;
      const words = `${many} imported${spread(elsewhere, project.images.value)}.`;
      if (!change.left_out.length) return (toast.good(words), true);
      file.set(null);
      report.set(leftOut(words, change));
    } catch (error) {
      report.set(failed(error.message));
    }
    return false;
  }

  openDialog({
    title: `Import polygons onto ${image.name}`,
    content: () => [
      h(Drop, {
        text: "Drop a GeoJSON, a GeoPackage or a zipped Shapefile here, or click to choose one",
        accept: ".geojson,.json,.gpkg,.zip",
        ...{ file, over },
      }),
      h("div.result", { role: "status" }, report.value),
      h(
        "div.fields",
        field(
          "Class",
          choice(named(project.classes.value, "As in the file"), bound(form, "class")),
          "A class chosen here goes before the file's.",
        ),
        field(
          "Coordinates",
          h(
            "div.stack",
            choice(places, bound(form, "place")),
            h("input", {
              type: "text",
              placeholder: "EPSG:32633",
              "aria-label": "Coordinate system of the file",
              hidden: form.value.place !== "other",
              ...bound(form, "other"),
            }),
          ),
        ),
      ),
      h(
        "p.muted",
        "Every polygon becomes an object with state “imported”: open it with a double click and correct it by " +
          "clicks. Its other columns become attributes.",
      ),
    ],
    leave: "Close",
    main: () => [icon("import", 15), "Import"],
    submit,
  });
}

function leftOut(words, { imported, left_out }) {
  const left = left_out.reduce((sum, { count }) => sum + count, 0);
  return h(
    "div.toast",
    { class: imported ? "note" : "error" },
    icon("warning"),
    h(
      "div.words",
      h("b", words),
      ` ${left} of the file's features ${left === 1 ? "was" : "were"} left out:`,
      h(
        "ul.report",
        left_out.map(({ reason, count }) => h("li", `${count}: ${reason}`)),
      ),
    ),
  );
}

// --- an example ------------------------------------------------------------------------------------------------------

export function exampleDialog({ project, actions, toast }) {
  const [image, mask] = [signal(null), signal(null)];
  const [overImage, overMask] = [signal(false), signal(false)];
  const form = signal({ class: project.className.value, negative: false });
  const classes = project.classes.value.map(({ name }) => [name, name]);

  async function submit() {
    if (!image.value || !mask.value) return void toast.note("Choose the picture and its mask.");
    const [image_png, mask_png] = await Promise.all([base64(image.value), base64(mask.value)]);
    const example = { image_png, mask_png, class: form.value.class, positive: !form.value.negative };
    return actions.addReference(example, "add an example").then(
      () => true,
      () => false,
    );
  }

  openDialog({
    title: "Example from a picture and its mask",
    content: () => [
      h(
        "div.fields",
        h(Drop, { text: "Picture (PNG)", accept: ".png", file: image, over: overImage }),
        h(Drop, { text: "Mask (PNG, white is the thing)", accept: ".png", file: mask, over: overMask }),
      ),
      h(
        "div.fields",
        field("Class", choice(classes, bound(form, "class"))),
        h("label.check", h("input", checkbox(form, "negative")), "A counter-example: not meant"),
      ),
    ],
    leave: "Cancel",
    main: () => ["Add"],
    submit,
  });
}

const base64 = (file) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
