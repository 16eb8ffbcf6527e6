"""Pictures of four bands: prepared, trained on, and started from weights of three, whose mean the fourth gets."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from terraclick.blocks.convnext import CONVNEXT, ConvNeXtConfig  # noqa: E402
from terraclick.blocks.layers import MEAN, ClickViTConfig  # noqa: E402
from terraclick.catalogue import load  # noqa: E402
from terraclick.cli import cli  # noqa: E402
from terraclick.core.predictor import bands_read  # noqa: E402
from terraclick.data.datasets import open_dataset  # noqa: E402
from terraclick.errors import BadConfig, BadData  # noqa: E402
from terraclick.geo.raster import read_view  # noqa: E402
from terraclick.networks.bicor import network as bicor  # noqa: E402
from terraclick.networks.checkpoint import build, save_network  # noqa: E402
from terraclick.networks.crosscut.config import CrossCutConfig  # noqa: E402
from terraclick.networks.recipe import EpisodeRule, NetworkRecipe  # noqa: E402
from terraclick.networks.simpleclick.network import SimpleClickConfig  # noqa: E402
from terraclick.train import map_network, semantic  # noqa: E402
from terraclick.train.export_map import export_map  # noqa: E402
from terraclick.train.networks import bands_of, start_from, train_network  # noqa: E402
from terraclick.train.semantic_recipes import SemanticConfig  # noqa: E402
from terraclick.values import View  # noqa: E402

VIT = ClickViTConfig(dim=32, depth=4, heads=4, size=224)
BASE = SimpleClickConfig(VIT, (8, 16, 32, 64), 16)
DEEP = replace(BASE, vit=replace(VIT, bands=4))
CONFIGS = {
    "simpleclick": (BASE, DEEP),
    "crosscut": (CrossCutConfig(BASE, divisions=(1,)), CrossCutConfig(DEEP, divisions=(1,))),
}


@pytest.fixture(scope="module")
def potsdam(tmp_path_factory):
    """A made-up Potsdam of four bands, as `terraclick prepare potsdam --bands RGBIR` leaves it."""
    import sys

    sys.path.insert(0, str(Path(__file__).parents[1] / "datasets"))
    from make_sources import potsdam as write

    root = tmp_path_factory.mktemp("potsdam")
    write(root / "source")
    words = ["prepare", "potsdam", str(root / "source"), str(root / "out"), "--bands", "RGBIR", "--crop", "100"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    return root / "out" / "train" / "potsdam_rgbir"


def test_the_fourth_band_is_the_files_fourth(potsdam):
    picture = open_dataset(potsdam).pictures[0]
    deep = picture.deep(4)
    assert deep.shape == (*picture.shape, 4) and deep.dtype == np.uint8
    assert np.array_equal(deep[..., :3], picture.image()) and np.array_equal(deep, picture.values())
    assert np.array_equal(deep[..., 3], 255 - deep[..., 0])
    with pytest.raises(BadData, match="has 4 bands, and 5 are asked"):
        picture.deep(5)


@pytest.mark.parametrize("family", CONFIGS)
def test_a_network_of_four_bands_starts_as_that_of_three(family, tmp_path):
    """The fourth band at the mean colour is nothing: the answer is the old one. Elsewhere it counts as their mean."""
    plain, deep = CONFIGS[family]
    torch.manual_seed(0)
    three = build(family, plain)[0].eval()
    path = save_network(three, family, plain, tmp_path / "three")
    four = build(family, deep)[0].eval()
    assert start_from(four, family, deep, path) == [] and bands_of(deep) == 4 and bands_of(plain) == 3
    image = torch.rand(1, 3, 224, 224)
    points = torch.tensor([[[60.0, 70.0, 0.0], [-1.0, -1.0, -1.0]]])
    quiet = torch.cat([image, torch.full((1, 1, 224, 224), sum(MEAN) / 3)], dim=1)
    with torch.no_grad():
        old = three.answer(three.encode(image), torch.zeros(1, 1, 224, 224), points)
        new, other = (four.answer(four.encode(x), torch.zeros(1, 1, 224, 224), points) for x in (quiet, 1 - quiet))
    assert torch.allclose(old, new, atol=1e-4) and not torch.allclose(old, other, atol=1e-2)
    kernel = next(v for k, v in four.state_dict().items() if k.endswith("patch_embed.proj.weight"))
    assert torch.allclose(kernel[:, 3], kernel[:, :3].mean(1))


@pytest.mark.parametrize("family", CONFIGS)
def test_it_trains_on_what_was_prepared(family, potsdam, tmp_path):
    plain, deep = CONFIGS[family]
    rule = EpisodeRule("class", 224, (1, 1), references=False, colours="plain")
    recipe = NetworkRecipe("four", family, deep, rule, steps=2, batch=2, rate=1e-3)
    before = save_network(build(family, plain)[0], family, plain, tmp_path / "three")
    written = train_network(recipe, potsdam, tmp_path / "run", start=before)
    from safetensors.torch import load_file

    kernel = next(v for k, v in load_file(written).items() if k.endswith("patch_embed.proj.weight"))
    assert kernel.shape[1] == 4 and not torch.allclose(kernel[:, 3], kernel[:, :3].mean(1), atol=1e-6)
    with pytest.raises(BadData, match="prepare the dataset with a band set"):
        shallow = replace(recipe, config=_five(deep))
        train_network(shallow, potsdam, tmp_path / "five")


def _five(config):
    base = getattr(config, "base", config)
    base = replace(base, vit=replace(base.vit, bands=5))
    return replace(config, base=base) if hasattr(config, "base") else base


SMALLER = "vit.dim=32 vit.depth=4 vit.heads=4 pyramid=[8,16,32,64] head=16 vit.bands=4".split()
VERBS = {
    "simpleclick": ("simpleclick-small", "config.", "simpleclick-b"),
    "crosscut": ("crosscut-small", "config.base.", "crosscut-b"),
}


def verb(*words):
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done


@pytest.mark.parametrize("family", VERBS)
def test_four_bands_from_prepare_to_segment(family, potsdam, tmp_path):
    """Trained, benchmarked, exported and clicked by the verbs; the exported folder clicks as the weights do."""
    recipe, where, name = VERBS[family]
    words = [f"{where}{setting}" for setting in SMALLER]
    words += ["episodes.side=224", "batch=2", "steps=1", "episodes.asked=class"]
    words += ["config.divisions=[1]"] if family == "crosscut" else []
    sets = [part for word in words for part in ("--set", word)]
    verb("train", recipe, "--data", potsdam.parent, "--out", tmp_path / "run", *sets)
    (weights,) = (tmp_path / "run").glob("*.safetensors")
    measured = tmp_path / "report.json"
    verb("benchmark", "--data", potsdam, "--predictor", name, "--weights", weights, "--limit", 2, "--max-clicks", 2,
         "--target", "class", "--json", measured)  # fmt: skip
    assert "miou" in measured.read_text()
    image = next((potsdam / "images").iterdir())
    click = ["--pixels", "--click", "50,50", "--model", name]
    by_torch = verb("segment", image, *click, "--weights", weights).stdout
    verb("export", name, "--weights", weights, "--size", "224,224", "--out", tmp_path / "folder")
    assert json.loads((tmp_path / "folder" / "network.json").read_text())["bands"] == 4
    by_graphs = verb("segment", image, *click, "--weights", tmp_path / "folder").stdout
    for said in (by_torch, by_graphs):
        assert json.loads(said)["features"][0]["geometry"]["type"] in ("Polygon", "MultiPolygon")
    size = {"count": 3, "height": 90, "width": 90, "dtype": "uint8", "crs": "EPSG:32633"}
    with rasterio.open(
        tmp_path / "three.tif", "w", driver="GTiff", transform=Affine(1, 0, 5, 0, -1, 9), **size
    ) as file:
        file.write(np.full((3, 90, 90), 99, np.uint8))
    for path in (weights, tmp_path / "folder"):
        done = CliRunner().invoke(cli, ["segment", str(tmp_path / "three.tif"), *click, "--weights", str(path)])
        assert "has 3 bands, and the model reads 4" in str(done.exception)


def test_the_fourth_band_of_a_view_counts(potsdam, tmp_path):
    """A view has the file's fourth band where it is asked for; a network of three bands does not ask."""
    image = next((potsdam / "images").iterdir())
    deep, plain = (read_view(image, further=count)[0].image for count in (1, 0))
    assert np.array_equal(deep[..., :3], plain) and np.array_equal(deep[..., 3], 255 - plain[..., 0])
    coarse = read_view(image, gsd=0.1, further=1)[0].image
    assert coarse.shape[2] == 4 and np.abs(255.0 - coarse[..., 0] - coarse[..., 3]).max() <= 1
    predictor = load("simpleclick-b", random=0, config=DEEP, size=(224, 224))
    assert bands_read(predictor) == 4 and bands_read(load("simpleclick-b", random=0, config=BASE)) == 3
    with pytest.raises(BadConfig, match="reads 4 bands, and the picture has 3 here"):
        predictor.encode(View(plain))


def test_a_class_map_of_four_bands(potsdam, tmp_path, monkeypatch):
    monkeypatch.setitem(CONVNEXT, "convnext-base", ConvNeXtConfig((1, 1, 1, 1), (8, 8, 16, 16)))
    monkeypatch.setitem(bicor.ENCODERS, "convnext-base", (8, 8, 16, 16))
    classes = tuple((name, "#808080") for name in open_dataset(potsdam).classes.values())
    plain = SemanticConfig("x", "terraclick", classes, (potsdam.name,), (potsdam.name,), crop=64, embed=32, batch=2)
    torch.manual_seed(1)
    three = bicor.Bicor("convnext-base", map_network.decoder_config(plain))
    torch.save(three.encoder.net.state_dict(), tmp_path / "imagenet.pth")
    deep = replace(plain, bands=4, weights=str(tmp_path / "imagenet.pth"), epochs=0.5)
    monkeypatch.setattr(map_network, "RENAMES", ())
    monkeypatch.setattr(map_network, "UNUSED", ())
    four = map_network.build_network(deep)
    image = torch.rand(1, 3, 64, 64)
    quiet = torch.cat([image, torch.full((1, 1, 64, 64), sum(MEAN) / 3)], dim=1)
    with torch.no_grad():
        maps = three.encoder(image), four.encoder(quiet)
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(*maps, strict=True))
    weights = semantic.train(deep, potsdam.parent, tmp_path / "run")
    assert map_network.restored(weights)[1].encoder.net.steps[0][1].weight.shape[1] == 4
    model = export_map(weights, tmp_path / "model")
    assert json.loads((model / "map.json").read_text())["bands"] == 4
    image = next((potsdam / "images").iterdir())
    verb("map", image, "--model", model, "--out", tmp_path / "map.tif")
    with rasterio.open(tmp_path / "map.tif") as file:
        assert file.read(1).max() >= 1 and file.shape == open_dataset(potsdam).pictures[0].shape
    blind = tmp_path / "blind.tif"  # the same without its fourth band
    with rasterio.open(image) as file, rasterio.open(blind, "w", **{**file.profile, "count": 3}) as out:
        out.write(file.read([1, 2, 3]))
    done = CliRunner().invoke(cli, ["map", str(blind), "--model", str(model), "--out", str(tmp_path / "no.tif")])
    assert "has 3 bands, and the model reads 4" in str(done.exception)
    words = ("--target", "map", "--data", potsdam, "--predictor", model, "--json", tmp_path / "map.json")
    verb("benchmark", *words)
    assert "iou" in (tmp_path / "map.json").read_text().lower()
    with pytest.raises(BadConfig, match="ConvNeXt alone"):
        replace(plain, bands=4, encoder="efficientnet-lite0")
