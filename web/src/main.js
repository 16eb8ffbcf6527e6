/** Wires the map together: project ↔ server, stage ↔ tools, panel, keys. Read this first. */

import "./app.css";
import { api, caller } from "./api.js";
import { createActions } from "./actions.js";
import { createClicking } from "./clicking.js";
import { fill, h } from "./dom.js";
import { createHistory } from "./history.js";
import { createKeys } from "./keys.js";
import { createDrafts } from "./drafts.js";
import { createPanel } from "./panel/panel.js";
import { createProject } from "./project.js";
import { createSketches } from "./sketches.js";
import { createStage } from "./map/stage.js";
import { createTools } from "./tools/index.js";
import { debounce, signal } from "./signal.js";
import { createDisplay, createSwipe, displayPanel } from "./ui/display.js";
import { createOverlay } from "./ui/overlay.js";
import { createToasts } from "./ui/toast.js";
import { createToolbar } from "./ui/toolbar.js";
import { createCrosshair } from "./ui/crosshair.js";
import { createTouchbar } from "./ui/touchbar.js";
import { classDialog } from "./dialogs/class.js";
import { confirmDialog } from "./dialogs/dialog.js";
import { gotoDialog } from "./dialogs/goto.js";
import { exampleDialog, exportDialog, importDialog } from "./dialogs/files.js";
import { imagesDialog, markImage } from "./dialogs/images.js";
import { keysDialog } from "./dialogs/keys.js";
import { toMap } from "./geometry.js";
import { shapeOf } from "./map/shapes.js";
import { lasting, memory, windowName } from "./window.js";
import { createWords } from "./words.js";
import Feature from "ol/Feature.js";
import { createEmpty, extend } from "ol/extent.js";

const app = document.getElementById("app");
const toast = createToasts(document.body);
const keys = createKeys();
const history = createHistory({
  api,
  caller,
  turned: (change, verb) => turned(change, verb),
  onError: async (error) => {
    await project.explain(error);
    project.refreshState(0);
  },
});
const project = createProject({ history, toast });
const display = createDisplay();
const element = h("div.map", {
  tabIndex: 0,
  role: "application",
  "aria-label": "Map: arrow keys move a crosshair, the full stop clicks there, ? explains all keys",
});
const stage = createStage(element, project, display);
stage.display = display;
const words = createWords({ project });
const clicking = createClicking({ project, stage, history, toast, words });
const actions = createActions({ project, stage, clicking, toast, words });
const sketches = createSketches({ project, history });
const brushSize = signal(18);
const excluding = signal(false);
const encoding = signal(null);
const context = {
  project,
  stage,
  clicking,
  words,
  actions,
  history,
  sketches,
  toast,
  keys,
  display,
  brushSize,
  excluding,
  encoding,
};
const tools = createTools(context);
const dialogs = {
  keys: () => keysDialog(context),
  goto: () => gotoDialog(context),
  export: () => exportDialog(context),
  import: (file) => project.image.value && importDialog(context, file instanceof File ? file : undefined),
  images: (state) => imagesDialog(context, state),
  editClass: (item) => classDialog(context, item),
  addExample: () => exampleDialog(context),
  confirm: confirmDialog,
};
Object.assign(context, { tools, dialogs, undo, redo });
stage.use = tools.use;
stage.extentOf = (uuids) =>
  uuids.reduce(
    (box, uuid) => extend(box, stage.sources.objects.getFeatureById(uuid)?.getGeometry()?.getExtent() ?? createEmpty()),
    createEmpty(),
  );
actions.fitImage = () => {
  const image = project.image.value;
  if (image) stage.fit([0, -image.height, image.width, 0], { padding: 24 });
};
project.jumpTo = actions.jumpTo;
actions.markImage = markImage(project);

// --- undo and redo: the newest act of this window, wherever it was done ----------------------------------------------

async function undo() {
  if (tools.current.value?.back?.()) return;
  if ((await history.undo()) === null) toast.note("There is nothing to undo in this window.");
}
async function redo() {
  if ((await history.redo()) === null) toast.note("There is nothing to redo in this window.");
}

/** Show what was undone or redone: go to its image, take back its outline or drawing, put its class in the hand. */
async function turned(change, verb) {
  const { session, image, hand, closed } = change;
  const elsewhere = Boolean(image) && image !== project.image.value?.id;
  if (elsewhere) await project.showImage(image);
  project.applyChange(change);
  if (hand) clicking.inHand(hand);
  if (closed && clicking.session.value?.id === closed) clicking.adopt(null);
  if (session && session.image === project.image.value?.id) {
    if (clicking.session.value?.id !== session.id) clicking.park();
    if (!["click", "paint", "erase"].includes(tools.current.value?.id)) tools.use("click");
    clicking.adoptWithHand(session);
  }
  for (const sketch of change.sketches ?? []) {
    sketches.note(sketch);
    if (sketch.image !== project.image.value?.id) continue;
    tools.use(sketch.tool);
    tools.current.value?.restore?.(sketches.of(sketch.tool));
  }
  const here = (change.objects ?? []).filter((object) => object.properties.image === project.image.value?.id);
  if (here.length && !session) project.select(here.map((object) => object.id));
  drafts.refresh();
  const words = change.act.replace(/^(undo|redo) /, "");
  const where = elsewhere ? `, on ${project.image.value.name}` : "";
  if (elsewhere || !session)
    toast.note(`${verb === "undo" ? "Undone" : "Done again"}: ${words}${where}.`, undefined, "turned");
  const box = !session && here.length ? stage.extentOf(here.map((object) => object.id)) : null;
  if (box && !(stage.isInView([box[0], box[1]]) || stage.isInView([box[2], box[3]]))) actions.zoomTo(box);
}

// --- what is shown follows what is known -----------------------------------------------------------------------------

const views = lasting.get("views") ?? {};
const viewKey = (image) => `${project.state.value?.session.name ?? ""} ${image.id}`;
const keepView = debounce(() => lasting.set("views", Object.fromEntries(Object.entries(views).slice(-300))), 400);
function rememberView() {
  const image = project.image.value;
  const [view, size] = [stage.map.getView(), stage.map.getSize()];
  if (!image || !size || stage.shownImage !== image.id) return;
  delete views[viewKey(image)]; // the newest comes last
  views[viewKey(image)] = { center: view.getCenter(), resolution: view.getResolution(), tiles: display.tiles.value };
  keepView();
}
stage.map.on("moveend", rememberView);
display.tiles.on(rememberView, { now: false });

project.image.on(
  (image) => {
    clicking.park();
    actions.closeProposals();
    if (!image) return;
    const known = views[viewKey(image)];
    stage.shownImage = null;
    display.tiles.set(known?.tiles ?? {});
    stage.showImage(image);
    if (known) {
      stage.map.getView().cancelAnimations();
      stage.map.getView().setCenter(known.center);
      stage.map.getView().setResolution(known.resolution);
    }
    stage.shownImage = image.id;
    document.title = `${image.name} · TerraClick`;
    memory.set("image", image.id);
    tools.current.value?.restore?.(sketches.of(tools.current.value.id));
    history.inOrder(() => comeBack(image));
  },
  { now: false },
);
project.className.on((name) => memory.set("hand", { class: name, target: project.target.value }), { now: false });
project.target.on((target) => memory.set("hand", { class: project.className.value, target }), { now: false });
caller.hand = () => ({ class: project.className.value, target: project.target.value });

/** The outline that this window left open on an image is there again. */
async function comeBack(image) {
  const id = memory.get("open")?.[image.id];
  if (!id || clicking.session.value || project.image.value?.id !== image.id) return;
  const still = (await api.sessions().catch(() => [])).find(
    (session) => session.id === id && !session.elsewhere && session.begun,
  );
  if (still && project.image.value?.id === image.id && !clicking.session.value) await clicking.resume(id);
  drafts.refresh();
}
display.layers.on(
  (layers) =>
    project.image.value &&
    stage.showLayers(
      project.image.value,
      layers.filter((layer) => layer.shown),
    ),
  { now: false },
);
project.objects.on((objects, before) => stage.showObjects(objects, before), { now: false });
for (const value of [
  project.selection,
  project.classes,
  display.opacity,
  display.labels,
  display.peeking,
  display.opened,
  display.hidden,
  display.locked,
])
  value.on(() => stage.redraw(), { now: false });
actions.proposals.on(
  (current) => {
    const source = stage.sources.proposals;
    source.clear(true);
    if (!current) return;
    source.addFeatures(
      current.items.map((item, at) => {
        const feature = new Feature(shapeOf(toMap(item.outline.geometry)));
        feature.setId(item.item);
        feature.set("current", at === current.at, true);
        return feature;
      }),
    );
  },
  { now: false },
);
stage.map.on("click", (event) => {
  if (!actions.proposals.value || tools.is("click")) return;
  const feature = stage.proposalAt(event.pixel);
  if (feature) actions.focusProposal(actions.proposals.value.items.findIndex((item) => item.item === feature.getId()));
});
project.classes.on((classes) => {
  keys.clearClasses();
  for (const item of classes)
    if (item.key)
      keys.onClass(
        item.key,
        () => (chosenNow() ? actions.relabel(item.name) : undefined, project.className.set(item.name)),
      );
});

/**
 * Keys change the selection only where it is what the hand is about: not while clicking a new outline, nor over an
 * open one.
 */
const chosenNow = () =>
  project.selection.value.size > 0 && !clicking.begun() && !tools.is("click") && !tools.current.value?.restore;

// --- keys ------------------------------------------------------------------------------------------------------------

const onMap = () =>
  !document.activeElement || document.activeElement === document.body || element.contains(document.activeElement);
for (const tool of tools.list) keys.on(`tool.${tool.id}`, () => tools.use(tool.id));
keys.on("accept", () => {
  if (tools.current.value?.enter?.()) return undefined;
  if (clicking.begun()) return clicking.accept();
  return actions.proposals.value ? actions.decideCurrent(true) : false;
});
keys.on("clear", () => {
  if (tools.current.value?.cancel?.()) return;
  if (actions.closeProposals()) return;
  actions.reviewing.set(false);
  project.select([]);
  tools.use("click");
});
/** Tab goes through the page for whoever goes by keys; with the mouse in hand it is the key of the target. */
let byPointer = false;
window.addEventListener("pointerdown", () => (byPointer = true), true);
window.addEventListener("keydown", (event) => event.key === "Tab" && event.shiftKey && (byPointer = false), true);
keys.on("target", () =>
  onMap() && byPointer ? project.target.set(project.target.value === "object" ? "class" : "object") : false,
);
keys.on("hint", () => {
  const hint = clicking.session.value?.hint;
  if (hint) stage.centreOn([hint.x, -hint.y]);
  else toast.note("The model has no question now.");
});
keys.on("alternative", () =>
  clicking.setShape({ walls: clicking.shape.value.walls ? 0 : 4 * (project.image.value?.gsd ?? 1) }),
);
keys.on("undo", () => void undo());
keys.on("redo", () => void redo());
keys.on("copy", () => (window.getSelection()?.toString() ? false : void actions.copy()));
keys.on("paste", () => void actions.paste());
keys.on("explode", () => void actions.explode());
keys.on("square", () => void actions.reshape());
keys.on("goto", dialogs.goto);
keys.on("exclude", () => excluding.set(!excluding.value));
clicking.session.on((now, before) => before && !now && excluding.set(false), { now: false });
keys.on("delete", () => {
  if (tools.current.value?.remove?.()) return;
  if (clicking.begun()) toast.note("An outline is open: Esc clears its clicks. The selected objects were not deleted.");
  else actions.remove();
});
keys.on("selectAll", () => (tools.use("select"), actions.selectAll()));
keys.on("help", dialogs.keys);
keys.on("merge", () => void actions.merge());
keys.on("brush.smaller", () => brushSize.set(Math.max(3, Math.round(brushSize.value / 1.25))));
keys.on("brush.larger", () => brushSize.set(Math.min(160, Math.round(brushSize.value * 1.25))));
keys.on("reopen", () => void actions.reopen());
keys.on("example", () => void actions.addExample(true));
keys.on("counterexample", () => void actions.addExample(false));
keys.on("find", () => void actions.findRest());
keys.on("yes", () => void answer(true));
keys.on("no", () => void answer(false));
keys.on("review", () => void actions.nextToReview());
keys.on("export", dialogs.export);
keys.on("import", () => dialogs.import());
keys.on("images", () => dialogs.images());
keys.on("image.previous", () => void actions.nextImage(-1));
keys.on("image.next", () => void actions.nextImage(1));
keys.on("zoom.in", () => stage.zoomBy(1));
keys.on("zoom.out", () => stage.zoomBy(-1));
keys.on("fit", () => actions.fitImage());
keys.on("peek", () => display.peeking.set(true));
keys.onRelease("peek", () => display.peeking.set(false));
keys.on("swipe", () => display.swipe.set(display.swipe.value === null ? 0.5 : null));
keys.on("panel", () => (app.classList.toggle("wide"), stage.map.updateSize()));

/** Y and N answer what was asked last: the suggested click of an open outline, a review, a proposal. */
function answer(yes) {
  if (clicking.begun() && clicking.session.value?.hint) return clicking.answerHint(yes);
  if (actions.reviewing.value) return actions.judge(yes);
  if (actions.proposals.value) return actions.decideCurrent(yes);
  if (project.selection.value.size) return actions.judge(yes);
  return toast.note("Y and N answer a proposal, the suggested click, or a review (G).");
}

// Buttons pressed with the mouse give the keyboard back to the map.
document.addEventListener("pointerup", () => {
  const focused = document.activeElement;
  if (focused?.matches("button") && !focused.closest("dialog")) focused.blur();
});
element.addEventListener("pointerdown", () => element.focus({ preventScroll: true }));
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  const [file] = event.dataTransfer.files;
  if (file && !document.querySelector("dialog[open]")) dialogs.import(file);
});

// --- start -----------------------------------------------------------------------------------------------------------

const cover = h("div.welcome", h("div.box", h("img", { src: "static/icon.svg", alt: "" }), h("span.spinner")));
const stageElement = h("main.stage", element, cover);
const panel = createPanel(context);
context.panel = panel;
fill(app, createToolbar(context), stageElement, panel.element);
stageElement.append(...createOverlay(context), displayPanel(context), createTouchbar({ ...context, answer }));
createCrosshair(context);
createSwipe(context);
const drafts = createDrafts(context);
stageElement.append(drafts.element);
tools.use("click");

const encodingGone = debounce(() => encoding.set(null), 600);
const reloadObjects = debounce(() => project.loadObjects().catch(project.explain), 200);

function listen() {
  api.events(
    {
      encode({ image, done, total }) {
        if (image !== project.image.value?.id) return;
        encoding.set(done < total ? { done, total } : null);
        if (done >= total) clicking.hovering.again();
        encodingGone();
      },
      answer: ({ session, outline }) => clicking.rough(session, outline),
      objects({ changed = [], deleted = [], by }) {
        const known = project.objects.value;
        const fresh = changed.filter(
          (feature) =>
            known.get(feature.id) === undefined || known.get(feature.id).properties.rev < feature.properties.rev,
        );
        const gone = deleted.filter((uuid) => known.has(uuid));
        if (by === project.state.value?.user && !fresh.length && !gone.length) return;
        project.apply({ objects: fresh, deleted: gone });
      },
      reload: ({ window: by }) => by !== caller.window && reloadObjects(), // ours was told by the answer
      trouble: ({ message }) => {
        project.setTrouble({ kind: "disk", text: message });
        toast.error(message);
      },
      classes: () => project.loadClasses(),
      references: () => project.loadReferences(),
      images: () => project.refreshState(),
      progress,
    },
    lineChanged,
  );
}

/** An act on many objects: how far it is, and a way to give it up. */
let closeProgress = null;
function progress({ act, done, total }) {
  if (caller.running !== act) return;
  const text = `${done.toLocaleString("en")} of ${total.toLocaleString("en")} objects…`;
  closeProgress = toast.progress(text, { label: "Cancel", run: () => api.cancelAct(act).catch(() => {}) }, "act");
}
history.state.on(() => closeDone(), { now: false });
project.saved.on(() => closeDone(), { now: false });
function closeDone() {
  if (!caller.running || project.saved.value.kind === "pending") return;
  closeProgress?.();
  closeProgress = null;
}

let closeLine = null;
/** What is said of the line to the server stays until it is another. */
function lineChanged(how) {
  closeLine?.();
  closeLine = null;
  if (how === "back") {
    project.setTrouble(null);
    toast.good("Connected again. Everything that was kept is there.");
    history.inOrder(takeUp);
    return;
  }
  const text =
    how === "locked"
      ? "The server is running again, but with a new token: open the address that terraclick serve printed. " +
        "Everything that was kept is there."
      : "The connection to the server is gone. Is “terraclick serve” still running? The map goes on by itself " +
        "when it is back.";
  project.setTrouble({ kind: "line", text });
  closeLine = toast.error(text);
}

/** After a break: what the server has now, and the outline that was open. */
async function takeUp() {
  try {
    await Promise.all([project.reload(), project.loadObjects(), sketches.load()]);
    const open = clicking.session.value;
    if (open && (clicking.begun() || open.can_undo)) {
      clicking.adopt(null);
      await clicking.resume(open.id);
    } else clicking.adopt(null);
    drafts.refresh();
  } catch (error) {
    project.explain(error);
  }
}

/** Rows that another program wrote and that cannot be used: how many, and what is wrong with the first. */
function sayWhatIsLeftOut() {
  const { count = 0, rows = [] } = project.state.value?.set_aside ?? {};
  if (!count) return;
  const [first] = rows;
  const more = count > 1 ? ` (and ${count - 1} more: see set_aside in /api/state)` : "";
  toast.note(
    `The session holds rows that cannot be used as they are. ${first.table} ${first.row}: ${first.reason}${more}.`,
  );
}

async function start() {
  try {
    caller.window = await windowName();
    await project.load();
    if (!project.images.value.length) throw new Error("This session has no image: start terraclick serve with one.");
    await sketches.load();
    const hand = memory.get("hand");
    if (hand) clicking.inHand(hand);
    await project.showImage(memory.get("image") ?? project.images.value[0].id);
    cover.remove();
    listen();
    sayWhatIsLeftOut();
    drafts.refresh();
  } catch (error) {
    const words =
      error.status === 401 || error.status === 403
        ? "Open the address that terraclick serve printed: it holds the token of this server."
        : error.message;
    fill(
      cover.firstChild,
      h("img", { src: "static/icon.svg", alt: "" }),
      h("b", "The map cannot be opened"),
      h("span.muted", words),
      h("button.button", { onclick: () => location.reload() }, "Try again"),
    );
  }
}

start();

// For tests and for whoever wants to look inside from the browser's console.
window.terraclick = context;
