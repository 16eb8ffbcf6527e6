"""CrossCut's divisions (MDF) and refinement (CFR) asked for in a model's name: on the command line and in the map."""

import json
import sys

import pytest
from click.testing import CliRunner
from test_processes import Process

pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from tiny_networks import write_tiny

from terraclick.cli import cli
from terraclick.store.geopackage import open_store

NAMES = ("crosscut-b+divisions=2", "crosscut-b+divisions=2,3,4", "simpleclick-b+cfr=2", "simpleclick-b+cfr=adaptive")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights, those of matrices fourfold: the answer before then tells in the next one."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("weights")
    paths = {name: write_tiny(name, folder) for name in ("crosscut-b", "simpleclick-b")}
    for path in paths.values():
        save_file({key: value * (4 if value.ndim > 1 else 1) for key, value in load_file(path).items()}, path)
    return paths


def call(*words):
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.stdout


def segment(weights, name, *more):
    words = ["segment", "sample", "--pixels", "--click", "300,300", *more]
    if name.startswith("simpleclick"):  # a window of a size at which its answer varies
        words += ["--bounds", "200,200,650,650"]
    (found,) = json.loads(call(*words, "--model", name, "--weights", weights[name.split("+")[0]]))["features"]
    return found["geometry"], found["properties"]["score"], found["properties"]["model"]


@pytest.mark.parametrize("name", NAMES)
def test_segment_answers_as_the_name_says(name, weights):
    """The same outline as by the verb's options; another answer than without the setting."""
    base, _, setting = name.partition("+")
    key, _, value = setting.partition("=")
    named, by_option, plain = segment(weights, name), segment(weights, base, f"--{key}", value), segment(weights, base)
    assert named == by_option and named[2] == name
    assert named[:2] != plain[:2] and plain[2] == base


def test_models_lists_names_with_settings(tmp_path):
    listed = json.loads(call("models", "list", *NAMES, "--json"))
    assert [one["name"] for one in listed] == list(NAMES)
    assert "CrossCut" in listed[1]["summary"] and "SimpleClick" in listed[2]["summary"]
    (by_option,) = json.loads(call("models", "list", "crosscut-b", "--divisions", "2,3,4", "--json"))
    assert by_option == listed[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["terra+divisions=2"], "terra has no setting divisions"),
        (["simpleclick-b+cfr=0"], "cannot be read"),
        (["nobody+cfr=2"], "no model 'nobody'"),
        (["land-cover+cfr=2"], "draws class maps"),
        (["--cfr", "2"], "give the NAMES"),
    ],
)
def test_models_refuses_settings_that_cannot_be(words, said):
    done = CliRunner().invoke(cli, ["models", "list", *words])
    assert done.exit_code != 0 and said in str(done.exception)


@pytest.mark.parametrize("name", [NAMES[1], NAMES[2]])
def test_a_served_session_clicks_with_the_settings(name, weights, tmp_path):
    """A server of its own, asked by HTTP; the object keeps the name, and a replay of its clicks gives its outline."""
    path = weights[name.split("+")[0]]
    command = [sys.executable, "-m", "terraclick.cli", "serve", "sample", "--no-browser", "--port", "0"]
    served = Process([*command, "--out", str(tmp_path), "--model", name, "--weights", str(path)])
    client = served.clients[0]
    session = client.post("/api/sessions", json={"image": "sample"}).json()["id"]
    for x, y, positive in ((300, 300, True), (520, 500, False)):
        found = client.post(f"/api/sessions/{session}/clicks", json={"x": x, "y": y, "positive": positive})
        assert found.status_code == 200 and found.json()["outline"]["area_px"] > 0, found.text
    assert client.post(f"/api/sessions/{session}/accept", json={"class": "thing"}).status_code == 201
    assert served.stop() == (0, "")
    with open_store(tmp_path / "terraclick.gpkg") as store:
        (item,) = store.objects()
    assert item.model == name
    told = json.loads(call("replay", tmp_path / "terraclick.gpkg", "--model", item.model, "--weights", path, "--json"))
    assert told["rows"][0]["ious"][-1] > 0.99
