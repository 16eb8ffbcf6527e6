"""A saved session answered again: by the same predictor it is what was accepted."""

import json

import pytest
from click.testing import CliRunner
from tests_app_help import Bright, outline_house, ring

from terraclick.cli import cli
from terraclick.errors import BadData
from terraclick.evaluate.replay import replay


def test_the_same_model_gives_what_was_accepted(serve, town, tmp_path):
    client = serve(town)
    outline_house(client, **{"class": "house"})
    name = client.post("/api/sessions", json={"image": "town"}).json()["id"]
    for x, y, positive in ((310, 120, True), (303, 103, False)):
        client.post(f"/api/sessions/{name}/clicks", json={"x": x, "y": y, "positive": positive})
    client.post(f"/api/sessions/{name}/accept", json={})
    drawn = {"type": "Feature", "geometry": ring(0, 0, 9, 9), "properties": {"image": "town"}}
    client.post("/api/collections/objects/items?crs=pixels", json=drawn)
    found = replay(client.space.store, Bright(), "bright")
    assert [len(item.ious) for item in found.objects] == [1, 2]
    assert [item.ious[-1] for item in found.objects] == pytest.approx(
        [1.0, 1.0], abs=2e-3
    )  # corners are kept, not pixels
    assert found.objects[1].ious[0] == pytest.approx(1 - 96 / 2400, abs=0.02)
    assert [reason for _, reason in found.skipped] == ["it has no clicks"]
    assert all(0 <= item.person_s < 60 for item in found.objects)
    assert found.to_json()["noc"] == {"80": 1.0, "85": 1.0, "90": 1.0}
    serve.stop(client)
    town.rename(tmp_path / "moved.tif")
    told = CliRunner().invoke(cli, ["replay", str(tmp_path / "work.gpkg"), "--model", "grabcut", "--json"])
    assert told.exit_code == 0 and len(json.loads(told.output)["skipped"]) == 3
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "moved.tif").rename(tmp_path / "elsewhere" / "town.tif")
    options = ["--model", "grabcut", "--images", str(tmp_path / "elsewhere")]
    told = CliRunner().invoke(cli, ["replay", str(tmp_path / "work.gpkg"), *options])
    assert "grabcut: 2 objects, 3 clicks" in told.output and "NoC@85" in told.output


def test_pixel_sessions_too_and_nothing_to_replay(serve, picture):
    client = serve(picture)
    with pytest.raises(BadData, match="no object"):
        replay(client.space.store, Bright(), "bright")
    name = client.post("/api/sessions", json={"image": "photo"}).json()["id"]
    client.post(f"/api/sessions/{name}/clicks", json={"x": 150, "y": 120})
    client.post(f"/api/sessions/{name}/accept", json={})
    assert replay(client.space.store, Bright(), "bright").objects[0].ious == (1.0,)
