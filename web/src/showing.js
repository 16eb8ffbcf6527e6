/** What is shown follows what is known: images with the view they were left at, objects, layers, proposals. */

import Feature from "ol/Feature.js";
import { shapeOf } from "./map/shapes.js";
import { api } from "./api.js";
import { toMap } from "./geometry.js";
import { debounce } from "./signal.js";
import { lasting, memory } from "./window.js";

export function showWhatIsKnown({ project, stage, display, clicking, actions, tools, sketches, history, drafts }) {
  const views = lasting.get("views") ?? {};
  const viewKey = (image) => `${project.state.value?.session.name ?? ""} ${image.id}`;
  const keepView = debounce(() => lasting.set("views", Object.fromEntries(Object.entries(views).slice(-300))), 400);
  let shown = null; // the image whose view is in place
  function rememberView() {
    const image = project.image.value;
    const [view, size] = [stage.map.getView(), stage.map.getSize()];
    if (!image || !size || shown !== image.id) return;
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
      shown = null;
      display.tiles.set(known?.tiles ?? {});
      stage.showImage(image);
      if (known) {
        stage.map.getView().cancelAnimations();
        stage.map.getView().setCenter(known.center);
        stage.map.getView().setResolution(known.resolution);
      }
      shown = image.id;
      document.title = `${image.name} · TerraClick`;
      memory.set("image", image.id);
      tools.current.value?.restore?.(sketches.of(tools.current.value.id));
      history.inOrder(() => comeBack(image));
    },
    { now: false },
  );
  /** The outline that this window left open on an image is there again. */
  async function comeBack(image) {
    const id = memory.get("open")?.[image.id];
    if (!id || clicking.openOutline.value || project.image.value?.id !== image.id) return;
    const still = (await api.openOutlines().catch(() => [])).find(
      (session) => session.id === id && !session.elsewhere && session.begun,
    );
    if (still && project.image.value?.id === image.id && !clicking.openOutline.value) await clicking.resume(id);
    drafts().refresh();
  }
  display.heatmaps.on(
    (layers) =>
      project.image.value &&
      stage.showHeatmaps(
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
    if (feature)
      actions.focusProposal(actions.proposals.value.items.findIndex((item) => item.item === feature.getId()));
  });
}
