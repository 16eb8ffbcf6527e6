"""Every hostile file through every route that takes a file: it works, or one clear 4xx, and the server lives on."""

import base64

import pytest

from terraclick.errors import TerraClickError

VIEW = {"bounds": [0, 0, 300, 300], "resolution": 1}


def hostile_files(shared):
    return sorted(path for path in (shared / "hostile").rglob("*") if path.is_file() and path.suffix != ".json")


def good(answer):
    """Not a server error, and an error is one sentence."""
    if answer.status_code >= 400:
        assert 400 <= answer.status_code < 500, (answer.request.url, answer.status_code, answer.text[:300])
        told = answer.json()
        assert set(told) == {"error", "message"} and 10 < len(told["message"]) < 600, told
        assert "Traceback" not in told["message"] and "\n" not in told["message"]
    return answer.status_code


def show(client):
    """Look at the one image of a server, click on it, take what comes; gives the answers' statuses."""
    (image,) = client.get("/api/images").json()["images"]
    base, z = f"/api/images/{image['id']}", image["max_zoom"]
    codes = [good(client.get(f"{base}{rest}")) for rest in ("", "/statistics", "/tiles/pixels/0/0/0")]
    codes += [good(client.get(f"{base}/tiles/pixels/{z}/0/0.{kind}?stretch=percent")) for kind in ("png", "jpg")]
    at = {"x": image["width"] / 2, "y": image["height"] / 2}
    codes.append(good(client.post(f"{base}/prefetch", json=at)))
    for target in ("object", "class"):
        opened = client.post("/api/sessions", json={"image": image["id"], "target": target, "view": VIEW})
        if good(opened) < 400:
            name = opened.json()["id"]
            codes.append(good(client.post(f"/api/sessions/{name}/clicks", json=at)))
            codes.append(good(client.post(f"/api/sessions/{name}/accept", json={})))
    codes.append(good(client.post("/api/proposals", json={"image": image["id"], "view": VIEW, "references": None})))
    assert client.get("/api/state").status_code == 200
    return codes


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_images_through_every_route_that_shows_them(serve, shared):
    works = refused = 0
    wrong = []
    for number, path in enumerate(hostile_files(shared)):
        try:
            client = serve(path, session=f"{number}.gpkg")
        except TerraClickError as error:
            assert 20 < len(str(error)) < 600 and "\n" not in str(error), error
            refused += 1
            continue
        try:
            works += max(show(client)[:5]) < 400
        except Exception as error:
            wrong.append((path.name, repr(error)[:300]))
        serve.stop(client)
    print(f"{works} images shown, {refused} refused at the start")
    assert wrong == []
    assert works >= 15 and refused >= 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_bytes_through_every_route_that_takes_them(client, shared):
    before = client.get("/api/state").json()["objects"]
    for path in hostile_files(shared):
        data = path.read_bytes()[: 60 * 2**20]
        for ending in ("geojson", "gpkg", "zip"):
            headers = {"Content-Type": "application/octet-stream"}
            where = {"name": f"{path.stem}.{ending}", "image": "town"}
            assert good(client.post("/api/import", params=where, content=data, headers=headers)) >= 400, path
        if len(data) < 2**20:
            text = base64.b64encode(data).decode()
            good(client.post("/api/references", json={"image_png": text, "mask_png": text, "class": "x"}))
    assert client.get("/api/state").json()["objects"] == before
