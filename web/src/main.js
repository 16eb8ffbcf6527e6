/** Wires the map together: project ↔ server, stage ↔ tools, panel, keys. Read this first. */

import "./app.css";
import { api, caller } from "./api.js";
import { createActions } from "./actions.js";
import { createClicking } from "./clicking.js";
import { createHistory } from "./history.js";
import { createKeys } from "./keys.js";
import { Drafts, createDrafts } from "./drafts.js";
import { createPanel } from "./panel/panel.js";
import { createProject } from "./project.js";
import { createSketches } from "./sketches.js";
import { createStage } from "./map/stage.js";
import { createTools } from "./tools.js";
import { Swipe, createDisplayPanel } from "./ui/display.js";
import { createOverlay } from "./ui/overlay.js";
import { createToasts } from "./ui/toast.js";
import { Toolbar } from "./ui/toolbar.js";
import { createCrosshair } from "./ui/crosshair.js";
import { createTouchbar } from "./ui/touchbar.js";
import { classDialog } from "./dialogs/class.js";
import { confirmDialog } from "./dialogs/dialog.js";
import { gotoDialog } from "./dialogs/goto.js";
import { exampleDialog, exportDialog, importDialog } from "./dialogs/files.js";
import { imagesDialog } from "./dialogs/images.js";
import { keysDialog } from "./dialogs/keys.js";
import { createWords } from "./words.js";
import { createConnection } from "./connection.js";
import { handleKeys } from "./handlers.js";
import { live, mount } from "./live.js";
import { h } from "./markup.js";
import { showWhatIsKnown } from "./showing.js";
import { createState } from "./state.js";
import { createTurning } from "./turning.js";
import { memory, windowName } from "./window.js";

const state = createState();
const toast = createToasts(document.body, state.page.messages);
const keys = createKeys();
const history = createHistory({
  state: state.history,
  api,
  caller,
  turned: (change, verb) => turning.turned(change, verb),
  onError: async (error) => {
    await project.explain(error);
    project.refreshState(0);
  },
});
const project = createProject({ state: state.project, history, toast, jumpTo: (uuid) => actions.jumpTo(uuid) });
const { display, encoding, page, hand } = state;
const element = Object.assign(document.createElement("div"), {
  className: "map",
  tabIndex: 0,
  role: "application",
  ariaLabel: "Map: arrow keys move a crosshair, the full stop clicks there, ? explains all keys",
});
const stage = createStage({ element, state: state.stage, hand, project, display });
const words = createWords({ state: state.words, project });
const clicking = createClicking({ state: state.clicking, project, stage, history, toast, words });
const actions = createActions({
  state: state.proposals,
  useTool: (id) => tools.use(id),
  ...{ project, stage, clicking, toast, words },
});
const sketches = createSketches({ project, history });
const { brushSize, excluding } = hand;
const parts = { project, stage, clicking, words, actions, history, sketches, toast, keys, display };
const tools = createTools({ ...parts, state: hand, brushSize, excluding });
const turning = createTurning({ ...parts, tools, drafts: () => drafts });
const context = {
  ...parts,
  brushSize,
  excluding,
  encoding,
  page,
  tools,
  undo: turning.undo,
  redo: turning.redo,
  dialogs: {
    keys: () => keysDialog(context),
    goto: () => gotoDialog(context),
    export: () => exportDialog(context),
    import: (file) => project.image.value && importDialog(context, file instanceof File ? file : undefined),
    images: (state) => imagesDialog(context, state),
    editClass: (item) => classDialog(context, item),
    addExample: () => exampleDialog(context),
    confirm: confirmDialog,
  },
};
const { dialogs } = context;
showWhatIsKnown({ ...context, drafts: () => drafts });
project.className.on((name) => memory.set("hand", { class: name, target: project.target.value }), { now: false });
project.target.on((target) => memory.set("hand", { class: project.className.value, target }), { now: false });
caller.hand = () => ({ class: project.className.value, target: project.target.value });

const { answer } = handleKeys(context);

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

const [drawPanel, drawOverlay] = [createPanel(context), createOverlay(context)];
const [drawDisplay, drawTouchbar] = [createDisplayPanel(context), createTouchbar({ ...context, answer })];
const drafts = createDrafts({ ...context, state: state.drafts });
createCrosshair(context);
tools.use("click");
const connection = createConnection({ ...context, drafts });

const Page = () => [
  h(Toolbar, context),
  h(
    "main.stage",
    { ref: (stageElement) => stageElement?.prepend(element) },
    h(Swipe, context),
    h(Cover, page),
    drawOverlay(),
    drawDisplay(),
    drawTouchbar(),
    h(Drafts, { ...context, drafts }),
  ),
  drawPanel(),
];
const Cover = live(({ opening: { value } }) => {
  if (value === "done") return null;
  const problem = [h("b", "The map cannot be opened"), h("span.muted", value)];
  const again = h("button.button", { onclick: () => location.reload() }, "Try again");
  const body = value === "now" ? h("span.spinner") : [problem, again];
  return h("div.welcome", h("div.box", h("img", { src: "static/icon.svg", alt: "" }), body));
});
mount(Page, {}, document.getElementById("app"));

async function start() {
  try {
    caller.window = await windowName();
    await project.load();
    if (!project.images.value.length) throw new Error("This session has no image: start terraclick serve with one.");
    await sketches.load();
    const hand = memory.get("hand");
    if (hand) clicking.inHand(hand);
    await project.showImage(memory.get("image") ?? project.images.value[0].id);
    page.opening.set("done");
    connection.listen();
    connection.sayWhatIsLeftOut();
    drafts.refresh();
  } catch (error) {
    const locked = error.status === 401 || error.status === 403;
    page.opening.set(
      locked ? "Open the address that terraclick serve printed: it holds the token of this server." : error.message,
    );
  }
}

start();

// For tests and for whoever wants to look inside from the browser's console.
window.terraclick = context;
