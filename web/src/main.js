/** Wires the map together: project ↔ server, stage ↔ tools, panel, keys. Read this first. */

import "./app.css";
import { api } from "./api.js";
import { createActions } from "./actions.js";
import { createClicking } from "./clicking.js";
import { fill, h } from "./dom.js";
import { createHistory } from "./history.js";
import { createKeys } from "./keys.js";
import { createPanel } from "./panel/panel.js";
import { createProject } from "./project.js";
import { createStage } from "./map/stage.js";
import { createTools } from "./tools/index.js";
import { debounce, signal } from "./signal.js";
import { createDisplay, createSwipe, displayPanel } from "./ui/display.js";
import { createOverlay } from "./ui/overlay.js";
import { createToasts } from "./ui/toast.js";
import { createToolbar } from "./ui/toolbar.js";
import { classDialog } from "./dialogs/class.js";
import { confirmDialog } from "./dialogs/dialog.js";
import { exampleDialog, exportDialog, importDialog } from "./dialogs/files.js";
import { keysDialog } from "./dialogs/keys.js";
import { toMap } from "./geometry.js";
import Feature from "ol/Feature.js";
import MultiPolygon from "ol/geom/MultiPolygon.js";
import { createEmpty, extend } from "ol/extent.js";

const app = document.getElementById("app");
const toast = createToasts(document.body);
const keys = createKeys();
const history = createHistory({
  onError: (error) => project.explain(error),
  earlier: (verb) => (project.state.value?.[`can_${verb}`] ? project.serverAct(project.state.value[`can_${verb}`]) : null),
});
const project = createProject({ history, toast });
const display = createDisplay();
const element = h("div.map", { tabIndex: 0, "aria-label": "Map" });
const stage = createStage(element, project, display);
stage.display = display;
const clicking = createClicking({ project, stage, history, toast });
const actions = createActions({ project, stage, clicking, history, toast });
const brushSize = signal(18);
const encoding = signal(null);
const context = { project, stage, clicking, actions, history, toast, keys, display, brushSize, encoding };
const tools = createTools(context);
const dialogs = {
  keys: () => keysDialog(context),
  export: () => exportDialog(context),
  import: (file) => project.image.value && importDialog(context, file instanceof File ? file : undefined),
  editClass: (item) => classDialog(context, item),
  addExample: () => exampleDialog(context),
  confirm: confirmDialog,
};
Object.assign(context, { tools, dialogs, undo, redo });
stage.use = tools.use;
stage.extentOf = (uuids) => uuids.reduce((box, uuid) => extend(box, stage.sources.objects.getFeatureById(uuid)?.getGeometry()?.getExtent() ?? createEmpty()), createEmpty());
actions.fitImage = () => {
  const image = project.image.value;
  if (image) stage.fit([0, -image.height, image.width, 0], { padding: 24 });
};
project.jumpTo = actions.jumpTo;

// --- undo and redo: the clicks of the open outline first, then every other act -----------------------------------------

async function undo() {
  if (tools.current.value?.back?.()) return;
  if (clicking.canUndo()) await clicking.undo();
  else {
    const act = await history.undo();
    if (!act && !history.state.value.undo) toast.note("There is nothing to undo.");
  }
}
async function redo() {
  if (clicking.canRedo()) await clicking.redo();
  else {
    const act = await history.redo();
    if (!act && !history.state.value.redo) toast.note("There is nothing to redo.");
  }
}
project.afterUndo = (change, { redone = false } = {}) => {
  project.applyChange(change);
  if (change.session) {
    project.className.set(change.session.class ?? "");
    project.target.set(change.session.target);
    tools.use("click");
    clicking.drop();
    clicking.adopt(change.session);
  } else if (redone && clicking.begun()) clicking.adopt(null);
  const [feature] = change.objects ?? [];
  if (feature?.properties.image === project.image.value?.id && !change.session) project.select(change.objects.map((object) => object.id));
};

// --- what is shown follows what is known -----------------------------------------------------------------------------

project.image.on((image) => {
  clicking.drop();
  actions.closeProposals();
  if (!image) return;
  stage.showImage(image);
  document.title = `${image.name} · TerraClick`;
}, { now: false });
display.layers.on((layers) => project.image.value && stage.showLayers(project.image.value, layers.filter((layer) => layer.shown)), { now: false });
project.objects.on((objects, before) => stage.showObjects(objects, before), { now: false });
for (const value of [project.selection, project.classes, display.opacity, display.labels, display.peeking, display.opened]) value.on(() => stage.redraw(), { now: false });
actions.proposals.on((current) => {
  const source = stage.sources.proposals;
  source.clear(true);
  if (!current) return;
  source.addFeatures(
    current.items.map((item, at) => {
      const feature = new Feature(new MultiPolygon(toMap(item.outline.geometry)));
      feature.setId(item.item);
      feature.set("current", at === current.at, true);
      return feature;
    }),
  );
}, { now: false });
stage.map.on("click", (event) => {
  if (!actions.proposals.value || tools.is("click")) return;
  const feature = stage.proposalAt(event.pixel);
  if (feature) actions.focusProposal(actions.proposals.value.items.findIndex((item) => item.item === feature.getId()));
});
project.classes.on((classes) => {
  keys.clearClasses();
  for (const item of classes)
    if (item.key) keys.onClass(item.key, () => (project.selection.value.size && !clicking.begun() ? actions.relabel(item.name) : undefined, project.className.set(item.name)));
});

// --- keys --------------------------------------------------------------------------------------------------------------

const onMap = () => !document.activeElement || document.activeElement === document.body || element.contains(document.activeElement);
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
keys.on("target", () => (onMap() ? project.target.set(project.target.value === "object" ? "class" : "object") : false));
keys.on("hint", () => {
  const hint = clicking.session.value?.hint;
  if (hint) stage.centreOn([hint.x, -hint.y]);
  else toast.note("The model has no question now.");
});
keys.on("alternative", () => clicking.setShape({ walls: clicking.shape.value.walls ? 0 : 4 * (project.image.value?.gsd ?? 1) }));
keys.on("undo", () => void undo());
keys.on("redo", () => void redo());
keys.on("delete", () => void actions.remove());
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
keys.on("image.previous", () => void actions.nextImage(-1));
keys.on("image.next", () => void actions.nextImage(1));
keys.on("zoom.in", () => stage.zoomBy(1));
keys.on("zoom.out", () => stage.zoomBy(-1));
keys.on("fit", () => actions.fitImage());
keys.on("peek", () => display.peeking.set(true));
keys.onRelease("peek", () => display.peeking.set(false));
keys.on("swipe", () => display.swipe.set(display.swipe.value === null ? 0.5 : null));
keys.on("panel", () => (app.classList.toggle("wide"), stage.map.updateSize()));

/** Y and N answer whatever is asked: a proposal, the suggested click, a review. */
function answer(yes) {
  if (actions.proposals.value) return actions.decideCurrent(yes);
  if (clicking.begun() && clicking.session.value?.hint) return clicking.answerHint(yes);
  if (project.selection.value.size || actions.reviewing.value) return actions.judge(yes);
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

// --- start -------------------------------------------------------------------------------------------------------------

const cover = h("div.welcome", h("div.box", h("img", { src: "static/icon.svg", alt: "" }), h("span.spinner")));
const stageElement = h("main.stage", element, cover);
const panel = createPanel(context);
context.panel = panel;
fill(app, createToolbar(context), stageElement, panel.element);
stageElement.append(...createOverlay(context), displayPanel(context));
createSwipe(context);
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
        const fresh = changed.filter((feature) => known.get(feature.id) === undefined || known.get(feature.id).properties.rev < feature.properties.rev);
        const gone = deleted.filter((uuid) => known.has(uuid));
        if (by === project.state.value?.user && !fresh.length && !gone.length) return;
        project.apply({ objects: fresh, deleted: gone });
      },
      reload: reloadObjects,
      trouble: ({ message }) => {
        project.saved.set({ ...project.saved.value, kind: "lost" });
        toast.error(message);
      },
      classes: () => project.loadClasses(),
      references: () => project.loadReferences(),
    },
    (broken) => {
      if (broken) {
        project.saved.set({ ...project.saved.value, kind: "lost" });
        toast.error("The connection to the server is gone. Is “terraclick serve” still running? The map goes on when it is back.");
      } else {
        toast.clear();
        toast.good("Connected again.");
        project.saved.set({ ...project.saved.value, kind: "saved" });
        reloadObjects();
      }
    },
  );
}

/** Rows that another program wrote and that cannot be used: how many, and what is wrong with the first. */
function sayWhatIsLeftOut() {
  const { count = 0, rows = [] } = project.state.value?.set_aside ?? {};
  if (!count) return;
  const [first] = rows;
  const more = count > 1 ? ` (and ${count - 1} more: see set_aside in /api/state)` : "";
  toast.note(`The session holds rows that cannot be used as they are. ${first.table} ${first.row}: ${first.reason}${more}.`);
}

async function start() {
  try {
    await project.load();
    if (!project.images.value.length) throw new Error("This session has no image: start terraclick serve with one.");
    await project.showImage(project.images.value[0].id);
    cover.remove();
    listen();
    sayWhatIsLeftOut();
    await resume();
  } catch (error) {
    const words = error.status === 401 || error.status === 403 ? "Open the address that terraclick serve printed: it holds the token of this start." : error.message;
    fill(cover.firstChild, h("img", { src: "static/icon.svg", alt: "" }), h("b", "The map cannot be opened"), h("span.muted", words), h("button.button", { onclick: () => location.reload() }, "Try again"));
  }
}

/** An outline left open, by a crash or a closed tab, waits where it was. */
async function resume() {
  const open = (await api.sessions().catch(() => [])).filter((session) => session.clicks.length && session.author === project.state.value.user && session.image === project.image.value.id);
  const last = open.at(-1);
  if (!last) return;
  toast.note("An outline was left open here.", {
    label: "Go on with it",
    async run() {
      const session = await api.session(last.id).catch(project.explain);
      if (session) project.afterUndo({ objects: [], deleted: [], session });
    },
  });
}

start();
