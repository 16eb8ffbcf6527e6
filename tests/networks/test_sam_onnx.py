"""The SAM family as files for the CPU engine: the same answers without torch and transformers."""

import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")
pytest.importorskip("onnx", reason="needs the extra terraclick[torch]")
transformers = pytest.importorskip("transformers", reason="needs the extra terraclick[sam]")

from click.testing import CliRunner  # noqa: E402
from sam_sizes import KINDS, tiny  # noqa: E402

from terraclick.catalogue import load  # noqa: E402
from terraclick.cli import cli  # noqa: E402
from terraclick.errors import BadConfig, BadOutput, BadWeights  # noqa: E402
from terraclick.networks.sam import onnx_export as room  # noqa: E402
from terraclick.values import (  # noqa: E402
    Click,
    Prompt,
    View,
)


@pytest.fixture(scope="module", params=KINDS)
def both(request, tmp_path_factory):
    """A network with torch and the folder made of it."""
    name, folder = request.param, tmp_path_factory.mktemp("sam")
    network = load(name, random=0, config=tiny(name))
    room.export_sam(name, folder, network)
    return name, network, folder


def test_the_files_answer_as_the_network(both):
    name, theirs, folder = both
    ours = load(name, weights=folder)
    view = View(np.random.default_rng(0).integers(0, 255, (90, 170, 3)).astype(np.uint8))
    pairs = [(predictor, predictor.encode(view)) for predictor in (ours, theirs)]
    before = None
    for clicks in ((Click(30, 50),), (Click(30, 50), Click(5, 5, False)), tuple(Click(8 * k, 50) for k in range(9))):
        for previous in {id(before): before, 0: None}.values():
            one, two = (predictor.predict(kept, Prompt(clicks), previous) for predictor, kept in pairs)
            assert np.allclose(one.probs, two.probs, atol=1e-4) and two.probs.std() > 1e-3
        before = two
    assert pairs[0][1].nbytes > 0


def test_it_clicks_without_torch(both):
    name, _, folder = both
    code = f"""
import sys
for name in ("torch", "onnx", "safetensors", "transformers"):
    sys.modules[name] = None
import numpy as np
from terraclick.values import Click, Prompt
from terraclick.values import View
from terraclick.catalogue import load
predictor = load({name!r}, weights={str(folder)!r})
view = View(np.random.default_rng(0).integers(0, 255, (50, 70, 3)).astype(np.uint8))
print(predictor.predict(predictor.encode(view), Prompt((Click(20, 30),)), None).probs.shape)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert told.stdout.strip() == "(50, 70)"


def test_from_the_command_line_and_what_is_refused(tmp_path):
    weights, made = tmp_path / "weights", tmp_path / "made"
    transformers.utils.logging.disable_progress_bar()
    size = transformers.SamConfig(**{**tiny("sam-vit-b").to_dict()})
    size.vision_config.hidden_size = 768  # by its width a folder is known as the base size
    network = load("sam-vit-b", random=0, config=size).network
    network.save_pretrained(weights)
    words = ["export", "sam-vit-b", "--weights", str(weights), "--out", str(made)]
    told = CliRunner().invoke(cli, [*words, "--size", "64,64"])
    assert "leave --size out" in str(told.exception) and not made.exists()
    told = CliRunner().invoke(cli, words)
    assert told.exit_code == 0, told.output
    with pytest.raises(BadWeights, match="holds sam-vit-b, not sam-vit-l"):
        load("sam-vit-l", weights=made)
    again = CliRunner().invoke(cli, ["export", "sam-vit-b", "--weights", str(made), "--out", str(tmp_path / "twice")])
    assert isinstance(again.exception, BadWeights) and "config.json" in str(again.exception)
    with pytest.raises(BadConfig, match="float32 only"):
        load("sam-vit-b", weights=made, precision="bfloat16")
    (made / "network.json").write_text('{"name": "sam-vit-b"}')
    with pytest.raises(BadWeights, match="damaged"):
        load("sam-vit-b", weights=made)


@pytest.mark.parametrize("difference", [0.5, float("nan")])
def test_files_that_answer_differently_are_not_kept(difference, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_difference", lambda *_: difference)
    with pytest.raises(BadOutput, match="answer differently"):
        room.export_sam("sam-vit-b", tmp_path / "no", load("sam-vit-b", random=0, config=tiny("sam-vit-b")))
    assert not list((tmp_path / "no").iterdir())
