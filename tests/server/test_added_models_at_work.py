"""A model that was added by `terraclick models add`: it clicks in the map's server, in a benchmark and in a replay."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")
pytest.importorskip("transformers", reason="needs the extra terraclick[sam]")

from terraclick.catalogue import load  # noqa: E402
from terraclick.cli import cli  # noqa: E402
from terraclick.commands.adding import add_model  # noqa: E402
from terraclick.server.main import model_of  # noqa: E402


@pytest.mark.parametrize("name", ["mobile-sam", "efficient-sam-ti"])
def test_it_clicks_in_the_map_in_a_benchmark_and_in_a_replay(name, serve, town, tiny_dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("TERRACLICK_MODELS", str(tmp_path / "models"))
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "networks"))
    from sam_sizes import tiny
    from test_added_models import published_small_sam

    network = load(name, random=1, config=tiny(name)).network
    torch.save(published_small_sam(name, network), tmp_path / "their.pt")
    add_model(name, tmp_path / "their.pt", tmp_path / "models", name="mine", config=tiny(name))
    for module in ("sam_sizes", "test_added_models"):
        sys.modules.pop(module, None)
    model = model_of("mine")
    client = serve(town, predictor=model.predictor)
    session = client.post("/api/sessions", json={"image": "town"}).json()["id"]
    answer = client.post(f"/api/sessions/{session}/clicks", json={"x": 150, "y": 120, "positive": True})
    assert answer.status_code == 200 and answer.json()["outline"]["area_px"] > 0, answer.text
    assert client.post(f"/api/sessions/{session}/accept", json={"class": "house"}).status_code < 300
    serve.stop(client)
    told = CliRunner().invoke(cli, ["replay", str(tmp_path / "work.gpkg"), "--model", "mine", "--json"])
    assert told.exit_code == 0, told.output
    (found,) = json.loads(told.stdout)["rows"]
    assert found["ious"][-1] > 0.97, "the same clicks give what was accepted"
    words = ["benchmark", "--predictor", "mine", "--target", "object", "--data", str(tiny_dataset), "--limit", "1"]
    done = CliRunner().invoke(cli, [*words, "--max-clicks", "2"])
    assert done.exit_code == 0 and "mine" in done.output, done.output
