"""Two servers on one PostGIS database."""

import pytest
from tests_app_help import outline_house

from terraclick.store.postgis import open_postgis

ITEMS = "/api/collections/objects/items"


@pytest.mark.slow
def test_two_servers_share_their_work_and_notice_each_other(serve, town, postgis):
    def opener(crs):
        return open_postgis(f"{postgis}#teams", crs)

    first, second = serve(town, opener=opener), serve(town, user="ben", opener=opener)
    feature = outline_house(first, **{"class": "house"})
    seen = second.get(f"{ITEMS}/{feature['id']}", params={"crs": "pixels"}).json()
    assert seen["geometry"] == feature["geometry"] and seen["properties"]["author"] == "anna"
    assert second.patch(f"{ITEMS}/{feature['id']}", json={"rev": 1, "label": "checked"}).status_code == 200
    stale = first.patch(f"{ITEMS}/{feature['id']}", json={"rev": 1, "label": "mine"})
    assert stale.status_code == 409 and stale.json()["theirs"]["properties"]["label"] == "checked"
    assert first.post("/api/undo").status_code == 409
    assert first.get("/api/state").json()["counts"] == {"status": {"accepted": 1}, "class": {"house": 1}}
    name = first.post("/api/sessions", json={"image": "town"}).json()["id"]
    clicked = first.post(f"/api/sessions/{name}/clicks", json={"x": 310, "y": 120}).json()
    serve.stop(first)
    again = serve(town, opener=opener)
    assert again.get(f"/api/sessions/{name}").json()["outline"] == clicked["outline"]
