/** In and out: export to a file, import polygons, an example from a picture and its mask. */

import { fill, h, icon } from "../dom.js";
import { api } from "../api.js";
import { field, openDialog } from "./dialog.js";

export async function exportDialog({ project }) {
  const formats = await api.formats().catch((error) => (project.explain(error), []));
  if (!formats.length) return;
  const first = formats.find((format) => format.name === "gpkg") ?? formats[0];
  const name = h("input", {
    type: "text",
    value: (project.state.value?.session.name ?? "objects").replace(/\.\w+$/, ""),
    required: true,
    maxLength: 80,
  });
  const image = h(
    "select",
    { onchange: follow },
    h("option", { value: "" }, "All images"),
    project.images.value.map((item) => h("option", { value: item.id }, item.name)),
  );
  const name_ = h(
    "select",
    h("option", { value: "" }, "All classes"),
    project.classes.value.map((item) => h("option", { value: item.name }, item.name)),
  );
  const status = h(
    "select",
    h("option", { value: "" }, "All states"),
    (project.state.value?.statuses ?? []).map((item) => h("option", { value: item }, item)),
  );
  const overwrite = h("input", { type: "checkbox" });
  const done = h("div.result", { role: "status" });
  const { session } = project.state.value;
  const systems = new Map([["", "As usual for the format"]]);
  if (session.crs) systems.set(session.crs, `${session.crs_name} (${session.crs}), as the session`);
  for (const item of project.images.value)
    if (item.crs && !systems.has(item.crs)) systems.set(item.crs, `${item.crs_name} (${item.crs}), as ${item.name}`);
  if (session.crs && !systems.has("EPSG:4326")) systems.set("EPSG:4326", "Longitude, latitude (EPSG:4326)");
  const crs = h(
    "select",
    { "aria-label": "Coordinate system", onchange: follow },
    [...systems].map(([value, text]) => h("option", { value }, text)),
    session.crs && h("option", { value: "other" }, "Another one…"),
  );
  const other = h("input", {
    type: "text",
    placeholder: "EPSG:3857",
    "aria-label": "Name of the coordinate system",
    hidden: true,
  });
  const note = h("p.muted", { hidden: true });
  const choices = formats.map((format) => {
    const { label: title, note } = format;
    const radio = h("input", {
      type: "radio",
      name: "format",
      value: format.name,
      checked: format === first,
      onchange: follow,
    });
    return h("label.format", radio, h("span", h("b", title), h("small", note)));
  });
  const chosen = () =>
    formats.find(
      (format) => format.name === choices.map((choice) => choice.firstChild).find((radio) => radio.checked).value,
    );
  function follow() {
    const { pixels, several, name: kind } = chosen();
    crs.disabled = pixels || !session.crs;
    other.hidden = crs.disabled || crs.value !== "other";
    const words = [
      pixels &&
        !several &&
        !image.value &&
        project.images.value.length > 1 &&
        "One file for each image that has objects, all with the class numbers of the session; the download is a zip.",
      kind === "geojson" &&
        !session.crs &&
        "The images have no place on the Earth: the file is in pixels, and other programs may take them for " +
          "degrees. A GeoPackage says that they are none.",
      kind === "geojson" &&
        crs.value &&
        crs.value !== "EPSG:4326" &&
        "GeoJSON in another system than longitude and latitude is read by few programs.",
    ].filter(Boolean);
    note.textContent = words.join(" ");
    note.hidden = !words.length;
  }

  openDialog(
    "Export",
    [
      h("div.formats", { role: "radiogroup", "aria-label": "Format" }, choices),
      done,
      h(
        "div.fields",
        field("File name", name),
        field("Image", image),
        field("Class", name_),
        field("State", status),
        field("Coordinate system", h("div.stack", crs, other)),
      ),
      note,
      h("label.check", overwrite, "Replace a file of that name"),
    ],
    [
      h("button.button.quiet", { type: "button", onclick: (event) => event.target.closest("dialog").close() }, "Close"),
      h("button.button.primary", icon("export", 15), "Export"),
    ],
    {
      async submit() {
        try {
          const result = await api.export({
            format: chosen().name,
            name: name.value.trim(),
            image: image.value || null,
            class: name_.value || null,
            status: status.value || null,
            crs: crs.disabled ? null : (crs.value === "other" ? other.value.trim() : crs.value) || null,
            overwrite: overwrite.checked,
          });
          fill(
            done,
            h(
              "div.toast.good",
              icon("check"),
              h(
                "span.words",
                h("b", result.name),
                ` · ${result.objects} ${result.objects === 1 ? "object" : "objects"} · ${size(result.bytes)}`,
                result.note && h("small.left-out", result.note[0].toUpperCase(), result.note.slice(1), "."),
              ),
              h(
                "a.button.small",
                { href: `api/exports/${encodeURIComponent(result.name)}`, download: result.name },
                "Download",
              ),
            ),
          );
        } catch (error) {
          fill(done, h("div.toast.error", { role: "alert" }, icon("warning"), h("span.words", error.message)));
        }
        done.scrollIntoView({ block: "nearest" });
        return false;
      },
    },
  );
  follow();
}

const size = (bytes) => (bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

/** A place to drop a file on or to choose one; `chosen(file)` is called with it. */
function drop(text, accept, chosen) {
  const input = h("input", {
    type: "file",
    accept,
    hidden: true,
    onchange: () => input.files[0] && take(input.files[0]),
  });
  const words = h("span", text);
  const take = (file) => ((words.textContent = file.name), chosen(file));
  const over = (on) => (event) => (event.preventDefault(), area.classList.toggle("over", on));
  const area = h(
    "label.drop",
    {
      tabIndex: 0,
      ondragover: over(true),
      ondragleave: over(false),
      ondrop: (event) => (over(false)(event), event.dataTransfer.files[0] && take(event.dataTransfer.files[0])),
      onkeydown: (event) => event.key === "Enter" && (event.preventDefault(), input.click()),
    },
    icon("import", 24),
    words,
    input,
  );
  return area;
}

export function importDialog({ project, actions, toast, stage }, dropped) {
  /** How many objects [[image, number], …] went to other images than the shown one. */
  const spread = (elsewhere) => {
    if (!elsewhere.length) return "";
    const only = elsewhere.length === 1 && project.images.value.find(({ id }) => id === elsewhere[0][0]);
    const where = only ? only.name : elsewhere.length === 1 ? "another image" : `${elsewhere.length} other images`;
    return `, ${elsewhere.reduce((sum, [, n]) => sum + n, 0)} of them on ${where}`;
  };

  api.prepareImport().catch(() => {}); // the import itself says what is wrong
  let file = dropped ?? null;
  const { session } = project.state.value;
  const image = project.image.value;
  const classes = h(
    "select",
    h("option", { value: "" }, "As in the file"),
    project.classes.value.map((item) => h("option", { value: item.name }, item.name)),
  );
  const places = [
    ["", "As the file says (GeoJSON: longitude, latitude)"],
    session.crs && ["EPSG:4326", "Longitude, latitude (EPSG:4326)"],
    session.crs && ["session", `${session.crs_name}, as the session`],
    image.crs && image.crs !== session.crs && ["image", `${image.crs_name}, as this image`],
    ["pixels", "Pixels of this image"],
    session.crs && ["other", "Another system…"],
  ].filter(Boolean);
  const place = h(
    "select",
    { onchange: () => (other.hidden = place.value !== "other") },
    places.map(([value, text]) => h("option", { value }, text)),
  );
  const other = h("input", {
    type: "text",
    placeholder: "EPSG:32633",
    "aria-label": "Coordinate system of the file",
    hidden: true,
  });
  const report = h("div.result", { role: "status" });
  const area = drop(
    file?.name ?? "Drop a GeoJSON, a GeoPackage or a zipped Shapefile here, or click to choose one",
    ".geojson,.json,.gpkg,.zip",
    (chosen) => ((file = chosen), fill(report)),
  );
  const many = (n) => `${n.toLocaleString("en")} ${n === 1 ? "polygon" : "polygons"}`;
  openDialog(
    `Import polygons onto ${image.name}`,
    [
      area,
      report,
      h(
        "div.fields",
        field("Class", classes, "A class chosen here goes before the file's."),
        field("Coordinates", h("div.stack", place, other)),
      ),
      h(
        "p.muted",
        "Every polygon becomes an object with state “imported”: open it with a double click and correct it by " +
          "clicks. Its other columns become attributes.",
      ),
    ],
    [
      h("button.button.quiet", { type: "button", onclick: (event) => event.target.closest("dialog").close() }, "Close"),
      h("button.button.primary", icon("import", 15), "Import"),
    ],
    {
      async submit() {
        if (!file)
          return void fill(
            report,
            h("div.toast.error", { role: "alert" }, icon("warning"), h("span.words", "Choose a file first.")),
          );
        try {
          const change = await actions.importFile(file, {
            class: classes.value,
            crs: place.value === "other" ? other.value.trim() : place.value,
          });
          if (change.reload) await project.loadObjects();
          const uuids = [...project.objects.value.values()]
            .filter((feature) => feature.properties.status === "imported" && feature.properties.image === image.id)
            .map((feature) => feature.id);
          if (change.by_image[image.id] && uuids.length) stage.fit(stage.extentOf(uuids));
          const elsewhere = Object.entries(change.by_image).filter(([id]) => id !== image.id);
          const left = change.left_out.reduce((sum, { count }) => sum + count, 0);
          const words = `${many(change.imported)} imported${spread(elsewhere)}.`;
          if (!left) return (toast.good(words), true);
          fill(
            report,
            h(
              "div.toast",
              { class: change.imported ? "note" : "error" },
              icon("warning"),
              h(
                "div.words",
                h("b", words),
                ` ${left} of the file's features ${left === 1 ? "was" : "were"} left out:`,
                h(
                  "ul.report",
                  change.left_out.map(({ reason, count }) => h("li", `${count}: ${reason}`)),
                ),
              ),
            ),
          );
          file = null;
          return false;
        } catch (error) {
          fill(report, h("div.toast.error", { role: "alert" }, icon("warning"), h("span.words", error.message)));
          return false;
        }
      },
    },
  );
}

export function exampleDialog({ project, actions, toast }) {
  const files = {};
  const classes = h(
    "select",
    project.classes.value.map((item) =>
      h("option", { value: item.name, selected: item.name === project.className.value }, item.name),
    ),
  );
  const negative = h("input", { type: "checkbox" });
  openDialog(
    "Example from a picture and its mask",
    [
      h(
        "div.fields",
        drop("Picture (PNG)", ".png", (file) => (files.image = file)),
        drop("Mask (PNG, white is the thing)", ".png", (file) => (files.mask = file)),
      ),
      h("div.fields", field("Class", classes), h("label.check", negative, "A counter-example: not meant")),
    ],
    [
      h(
        "button.button.quiet",
        { type: "button", onclick: (event) => event.target.closest("dialog").close() },
        "Cancel",
      ),
      h("button.button.primary", "Add"),
    ],
    {
      async submit() {
        if (!files.image || !files.mask) return void toast.note("Choose the picture and its mask.");
        const [image_png, mask_png] = await Promise.all([base64(files.image), base64(files.mask)]);
        return actions
          .addReference({ image_png, mask_png, class: classes.value, positive: !negative.checked }, "add an example")
          .then(
            () => true,
            () => false,
          );
      },
    },
  );
}

const base64 = (file) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
