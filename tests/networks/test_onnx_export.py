"""Paper networks as files for the CPU engine: the same answers without torch, and what is refused."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")
pytest.importorskip("onnx", reason="needs the extra terraclick[torch]")

from click.testing import CliRunner  # noqa: E402

from terraclick.blocks.layers import ClickViTConfig  # noqa: E402
from terraclick.catalogue import load  # noqa: E402
from terraclick.cli import cli  # noqa: E402
from terraclick.errors import BadConfig, BadOutput, BadWeights  # noqa: E402
from terraclick.networks import onnx_export as room  # noqa: E402
from terraclick.networks.checkpoint import load_network, save_network  # noqa: E402
from terraclick.networks.crosscut.config import CrossCutConfig  # noqa: E402
from terraclick.networks.families import family_of, part  # noqa: E402
from terraclick.networks.focalclick.network import FocalClickConfig  # noqa: E402
from terraclick.networks.isrefiner.config import IsRefinerConfig  # noqa: E402
from terraclick.networks.mfp.network import MfpConfig  # noqa: E402
from terraclick.networks.refcut.network import RefCut, RefCutConfig  # noqa: E402
from terraclick.networks.ritm.network import RitmConfig  # noqa: E402
from terraclick.networks.segnext.network import SegNextConfig, SegNextViTConfig  # noqa: E402
from terraclick.networks.simpleclick.network import SimpleClickConfig  # noqa: E402
from terraclick.values import (  # noqa: E402
    Click,
    Prompt,
    Reference,
    View,
)

VIT = ClickViTConfig(dim=32, heads=2, depth=4, size=224)
SIMPLE = SimpleClickConfig(VIT, (8, 16, 32, 64), 16)
SIZE = (224, 224)
TINY = {
    "simpleclick-b": SIMPLE,
    "ritm-hrnet18": RitmConfig(width=4, ocr_width=8, small=True),
    "segnext-b": SegNextConfig(SegNextViTConfig(dim=16, depth=3, heads=2, size=224), pyramid=(4, 8, 16, 32), head=8),
    "mfp-b": MfpConfig(SIMPLE),
    "crosscut-b": CrossCutConfig(SIMPLE, divisions=(1, 2)),
    "focalclick-b0": FocalClickConfig((8, 16, 20, 24), (1, 1, 1, 1), (1, 2, 2, 2), head=16, refiner=8),
    "isrefiner-b": IsRefinerConfig(replace(VIT, dim=64), (8, 16, 32, 64), widths=(8, 16, 24, 32)),
}


def export(name, *args, **options):
    return part(family_of(name), "onnx").EXPORT.export(name, *args, **options)


CLICKS = (Click(60, 90), Click(20, 30, False), Click(80.5, 100))


@pytest.fixture(scope="module")
def view():
    image = np.random.default_rng(0).integers(0, 80, (130, 170, 3)).astype(np.uint8)
    image[30:100, 60:130] += 120
    return View(image)


LARGE = ("ritm-hrnet18", "isrefiner-b")  # graphs of many small steps: tracing takes its time


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in LARGE)) for n in TINY])
def test_the_files_answer_as_the_network(name, tmp_path, view):
    folder = export(name, tmp_path / "made", random=0, size=SIZE, config=TINY[name])
    described = json.loads((folder / "network.json").read_text())
    assert described["name"] == name and described["difference"] < 1e-3
    plain, target = {"zoom": False, "flip": False}, {"size": SIZE}
    if name == "segnext-b":
        plain = target = {}
    elif name == "focalclick-b0":
        plain, target = {}, {"side": SIZE[0]}
    elif name == "crosscut-b":
        plain, target = {"flip": False}, {"divisions": (1, 2)}
    torch_made = load(name, random=0, config=TINY[name], **plain, **target)
    if name in ("segnext-b", "crosscut-b"):  # else they stretch by themselves, without averaging areas
        torch_made = replace(getattr(torch_made, "inner", torch_made), size=SIZE)
    before = None
    both = [(made, made.encode(view)) for made in (load(name, weights=folder, **plain), torch_made)]
    for number in range(1, len(CLICKS) + 1):
        ours, theirs = (made.predict(encoded, Prompt(CLICKS[:number]), before) for made, encoded in both)
        spread = theirs.probs.std()  # untrained networks answer nearly flat
        assert np.abs(ours.probs - theirs.probs).max() < min(1e-3, 0.1 * spread)
        before = theirs


@pytest.mark.parametrize("resize", ["area", "bilinear"])
def test_an_exported_refcut_reads_references(resize, tmp_path, view):
    torch.manual_seed(0)
    network = RefCut(RefCutConfig(SIMPLE, reference_side=224, mask_resize=resize))
    for side in (network.positive, network.negative):
        torch.nn.init.normal_(side.outer.weight, std=0.3)  # a new one's prompts are zero
    weights = save_network(network, "refcut", network.config, tmp_path / "weights")
    folder = export("refcut-b", tmp_path / "made", weights, SIZE)
    plain = {"zoom": False, "flip": False}
    ours = load("refcut-b", weights=folder, **plain)
    theirs = load("refcut-b", weights=weights, size=SIZE, **plain)
    mask = np.zeros((60, 90), bool)
    mask[7:40, 20:53] = True
    picture = np.random.default_rng(1).integers(0, 255, (60, 90, 3)).astype(np.uint8)
    shown = (Reference(picture, mask), Reference(picture[::-1], mask), Reference(picture, ~mask, False))
    found = []
    for clicks, references in ((CLICKS[:1], ()), (CLICKS, shown[:1]), (CLICKS, shown), ((), shown)):
        prompt = Prompt(clicks, references=references)
        one, two = (each.predict(each.encode(view), prompt, None).probs for each in (ours, theirs))
        assert np.allclose(one, two, atol=1e-3)
        found.append(one)
    assert all(not np.allclose(one, found[0], atol=1e-2) for one in found[1:])
    said = json.loads((folder / "network.json").read_text())
    for damaged in (None, 7, [], {}, {**said["references"], "side": "wide"}, {**said["references"], "dim": -1}):
        (folder / "network.json").write_text(json.dumps({**said, "references": damaged}))
        with pytest.raises(BadWeights, match="damaged"):
            load("refcut-b", weights=folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """SimpleClick, exported by the verb from a weights file."""
    place = tmp_path_factory.mktemp("exported")
    network = load_network("simpleclick-b", random=0, config=TINY["simpleclick-b"])
    weights = save_network(network, "simpleclick", TINY["simpleclick-b"], place / "weights.safetensors")
    words = ["export", "simpleclick-b", "--weights", str(weights), "--out", str(place / "made"), "--size", "224,224"]
    told = CliRunner().invoke(cli, words)
    assert told.exit_code == 0, told.output
    return place / "made"


def test_it_clicks_without_torch_and_under_zoom_and_flip(folder):
    code = f"""
import sys
for name in ("torch", "onnx", "safetensors"):
    sys.modules[name] = None
import numpy as np
from terraclick.values import Click, Prompt
from terraclick.values import View
from terraclick.catalogue import load
predictor = load("simpleclick-b", weights={str(folder)!r})
view = View(np.random.default_rng(0).integers(0, 255, (130, 170, 3)).astype(np.uint8))
encoded = predictor.encode(view)
answer = predictor.predict(encoded, Prompt((Click(60, 90),)), None)
answer = predictor.predict(encoded, Prompt((Click(60, 90), Click(5, 5, False))), answer)
print(answer.probs.shape, answer.focus is not None, sorted(np.asarray(predictor.rule.size)))
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert told.stdout.split() == ["(130,", "170)", "True", "[np.int64(224),", "np.int64(224)]"]


def test_what_does_not_fit_is_refused(folder, tmp_path):
    with pytest.raises(BadWeights, match="holds simpleclick-b, not mfp-b"):
        load("mfp-b", weights=folder)
    with pytest.raises(BadWeights, match="holds simpleclick-b, not sam-vit-b"):
        load("sam-vit-b", weights=folder)
    with pytest.raises(BadConfig, match="float32 only"):
        load("simpleclick-b", weights=folder, parity=True)
    with pytest.raises(BadConfig, match="reads a square"):
        export("focalclick-b0", tmp_path / "no", random=0, size=(224, 256))
    with pytest.raises(BadConfig, match="divisions of its own"):
        load("crosscut-b", weights=folder, divisions=(2,))
    (tmp_path / "network.json").write_text('{"name": "simpleclick-b"}')
    with pytest.raises(BadWeights, match="damaged"):
        load("simpleclick-b", weights=tmp_path)
    told = CliRunner().invoke(cli, ["export", "simpleclick-b", "--out", str(tmp_path / "x")])
    assert told.exit_code != 0 and not (tmp_path / "x").exists()


@pytest.mark.parametrize("difference", [0.5, float("nan")])
def test_files_that_answer_differently_are_not_kept(difference, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_difference", lambda *_: difference)
    with pytest.raises(BadOutput, match="answer differently"):
        export("simpleclick-b", tmp_path / "no", random=0, size=SIZE, config=TINY["simpleclick-b"])
    assert not list((tmp_path / "no").iterdir())
