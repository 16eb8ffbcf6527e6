/** What floats on the map: advice for the tool in the hand, where the cursor is, scale, zoom buttons, progress. */

import { fill, h, icon } from "../dom.js";
import { pretty } from "../keys.js";

export function createOverlay({ project, stage, tools, clicking, actions, keys, encoding }) {
  const advice = h("div.float.advice");
  const drawAdvice = () => {
    const proposals = actions.proposals.value;
    const lines = proposals
      ? [
          ["yes", "keep"],
          ["no", "refuse"],
          ["clear", "stop"],
        ]
      : (tools.current.value?.advice() ?? []);
    const hint =
      !proposals && tools.current.value?.questions && clicking.session.value?.hint && clicking.begun()
        ? [["yes no", "is the ? part of it"]]
        : [];
    fill(
      advice,
      [...lines, ...hint].map(([act, text]) => sentence(act, text)),
    );
    advice.hidden = !lines.length || !project.image.value;
  };
  const sentence = (act, text) => {
    if (act === "include" || act === "exclude") return h("span", { class: act }, text);
    const pressed = act
      .split(" ")
      .map((id) => keys.keysOf(id)[0])
      .filter(Boolean);
    return h(
      "span",
      pressed.map((key) => [h("kbd", pretty(key)), " "]),
      text,
    );
  };
  for (const value of [
    project.target,
    project.selection,
    project.image,
    clicking.session,
    tools.current,
    actions.proposals,
    keys.own,
  ])
    value.on(drawAdvice);

  const where = h("div.float.where", { hidden: true });
  const position = h("span");
  const bar = h("i");
  const length = h("span");
  const notes = h("details.notes", { hidden: true });
  project.image.on((image) => {
    const said = image?.notes ?? [];
    notes.hidden = !said.length;
    notes.open = false;
    where.hidden &&= !said.length;
    fill(
      notes,
      h("summary", said.length === 1 ? "1 note" : `${said.length} notes`),
      said.map((note) => h("p", note[0]?.toUpperCase() + note.slice(1))),
    );
  });
  fill(where, h("span.scale", length, bar), position, notes);
  stage.cursor.on((place) => {
    const image = project.image.value;
    where.hidden = !image;
    if (!image) return;
    position.textContent = place && stage.isOnImage(place) ? coordinates(image, place) : (image.crs_name ?? "pixels");
  });
  stage.resolution.on((resolution) => {
    const image = project.image.value;
    if (!image) return;
    const unit = image.gsd ?? 1;
    const wanted = 90 * resolution * unit;
    const power = 10 ** Math.floor(Math.log10(wanted));
    const round = [5, 2, 1].find((step) => step * power <= wanted) * power;
    bar.style.width = `${round / (resolution * unit)}px`;
    length.textContent = image.gsd ? (round >= 1000 ? `${round / 1000} km` : `${round} m`) : `${round} px`;
  });

  const corner = h(
    "div.float.corner",
    [
      ["plus", "Zoom in", "zoom.in", () => stage.zoomBy(1)],
      ["minus", "Zoom out", "zoom.out", () => stage.zoomBy(-1)],
      ["fit", "Whole image", "fit", () => stage.fitImage()],
    ].map(([name, label, act, run]) =>
      h("button.tool.left", { onclick: run, "aria-label": label, title: keys.titled(label, act) }, icon(name, 17)),
    ),
  );

  const words = h("span");
  const progress = h("progress", { max: 1, hidden: true });
  const busy = h("div.float.busy", { hidden: true }, h("span.spinner"), words, progress);
  let timer = 0;
  const drawBusy = () => {
    clearTimeout(timer);
    const at = encoding.value;
    const text = at
      ? "Looking at this part of the image"
      : clicking.busy.value
        ? "Outlining"
        : project.loading.value
          ? "Loading objects"
          : "";
    if (!text) {
      busy.hidden = true;
      return;
    }
    timer = setTimeout(
      () => {
        words.textContent = text;
        progress.hidden = !at || at.total < 2;
        if (at) progress.value = at.done / at.total;
        busy.hidden = false;
      },
      busy.hidden ? 250 : 0,
    );
  };
  for (const value of [encoding, clicking.busy, project.loading]) value.on(drawBusy);

  return [advice, where, corner, busy];
}

function coordinates(image, [x, up]) {
  const y = -up;
  const pixel = `${Math.floor(x)}, ${Math.floor(y)} px`;
  if (!image.crs) return pixel;
  const [a, b, c, d, e, f] = image.transform;
  const degrees = Math.abs(a) + Math.abs(b) < 0.01;
  const digits = degrees ? 6 : Math.abs(a) + Math.abs(b) < 2 ? 1 : 0;
  return `${(a * x + b * y + c).toFixed(digits)}, ${(d * x + e * y + f).toFixed(digits)}  ·  ${image.crs}`;
}
