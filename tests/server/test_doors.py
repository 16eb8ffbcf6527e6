"""Who may come in, from where, and with how much."""

import asyncio
import json
import socket

import pytest
from tests_app_help import ring

ITEMS = "/api/collections/objects/items"


def test_no_token_no_entry(same_client):
    bare = {"Authorization": ""}
    assert same_client.get("/api/state", headers=bare).status_code == 401
    assert same_client.get("/api/state", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert same_client.get("/api/openapi.json", headers=bare).status_code == 401
    assert same_client.get("/no/such/page", headers=bare).status_code == 401
    assert [same_client.get(path, headers=bare).status_code for path in ("/", "/docs")] == [200, 200]


def test_the_first_page_sets_a_strict_cookie(client):
    answer = client.get("/?token=token-ben", headers={"Authorization": ""}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert client.get("/api/state", headers={"Authorization": ""}).json()["user"] == "ben"
    assert client.get("/?token=wrong", follow_redirects=False).status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "10.0.0.7", "[", "localhost:80@evil"])
def test_a_foreign_host_is_refused(same_client, host):
    assert same_client.get("/api/state", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("host", ["evil.com:80@127.0.0.1", "a@127.0.0.1", "127.0.0.1/x", "127.0.0.1?x", "127.0.0.1 x"])
def test_a_host_is_a_name_and_a_port_and_nothing_else(same_client, host):
    assert same_client.get("/api/state", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST"])
def test_its_own_names_are_known(same_client, host):
    assert same_client.get("/api/state", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_foreign_page_is_refused(same_client, headers):
    assert same_client.post("/api/undo", headers=headers).status_code == 403
    assert same_client.get("/api/state", headers=headers).status_code == 403


def test_its_own_page_is_not(same_client):
    own = {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}
    assert same_client.get("/api/state", headers=own).status_code == 200


def test_answers_tell_the_browser_to_be_careful(same_client):
    for path in ("/", "/api/state", "/docs", "/nowhere"):
        headers = same_client.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


def test_oversized_bodies(same_client):
    big = json.dumps({"image": "town", "class": "x" * 3_000_000})
    assert same_client.post("/api/sessions", content=big).status_code == 413

    def drip():
        for _ in range(40):
            yield b" " * 100_000

    answer = same_client.post("/api/sessions", content=drip(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    many = ring(0, 0, 9, 9)
    many["coordinates"][0] = [[i % 7, i % 5] for i in range(200_001)]
    feature = {"type": "Feature", "geometry": many, "properties": {"image": "town"}}
    text = json.dumps(feature, separators=(",", ":"))
    assert len(text) < 2 * 2**20
    answer = same_client.post(ITEMS, content=text, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (413, "TooLarge")


def test_bodies_that_are_not_json(same_client):
    kind = {"Content-Type": "application/json"}
    assert same_client.post("/api/sessions", content="{", headers=kind).status_code == 400
    assert same_client.post("/api/sessions", content="[" * 100_000, headers=kind).status_code in (400, 422)
    assert same_client.post("/api/sessions", content=b"\xff\xfe", headers=kind).status_code in (400, 422)
    plain = {"Content-Type": "text/plain"}
    assert same_client.post("/api/sessions", content='{"image": "town"}', headers=plain).status_code in (400, 415, 422)
    assert same_client.post("/api/sessions", json={"image": "town", "evil": 1}).status_code == 422


@pytest.mark.parametrize(
    "path",
    [
        "/static/../main.py",
        "/static/%2e%2e/main.py",
        "/static/..%2fmain.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/",
        "/api/images/..%2f..%2fetc%2fpasswd",
        "/api/images/town/tiles/pixels/0/0/..%2f0.png",
        "/api/exports/..%2fwork.gpkg",
        "/api/exports/work.gpkg",
    ],
)
def test_paths_lead_nowhere_else(same_client, path):
    answer = same_client.get(path)
    assert answer.status_code == 404 and "passwd" not in answer.text.replace(path, "").replace("etc/passwd", "")


@pytest.mark.parametrize("name", ["/etc/passwd", "http://127.0.0.1:1/x.tif", "/vsicurl/http://x", "../town", ""])
def test_images_are_ids_and_nothing_else(same_client, name):
    assert same_client.post("/api/sessions", json={"image": name}).status_code == 404


def test_script_in_labels_stays_text(client):
    evil = '<img src=x onerror="alert(1)">'
    feature = {"type": "Feature", "geometry": ring(0, 0, 9, 9), "properties": {"image": "town", "label": evil}}
    made = client.post(ITEMS, params={"crs": "pixels"}, json=feature)
    assert made.headers["content-type"] == "application/geo+json"  # never a page
    assert made.json()["properties"]["label"] == evil
    assert client.post("/api/undo").headers["content-type"] == "application/json"
    control = {**feature, "properties": {"image": "town", "class": "a\x00b"}}
    assert client.post(ITEMS, params={"crs": "pixels"}, json=control).status_code == 422


def test_the_docs_fetch_nothing(same_client):
    page = same_client.get("/docs").text
    assert "http://" not in page and "https://" not in page and "/api/sessions/{name}/clicks" in page


def test_errors_are_one_sentence_and_have_their_status():
    from terraclick import errors
    from terraclick.server.application import status_of

    kinds = {name: getattr(errors, name) for name in errors.__all__ if name[0].isupper()}
    table = {name: status_of(kind("x")) for name, kind in kinds.items()}
    assert table["UnknownName"] == 404 and table["Conflict"] == table["BadOutput"] == 409
    assert {table[name] for name in ("BadClick", "BadGrid", "BadImage", "BadData", "NotGeoreferenced")} == {422}
    assert 500 not in table.values() and status_of(ValueError("x")) == 500


def test_small_answers_leave_at_once():
    """Without TCP_NODELAY each waits 40 ms for the acknowledgement of the one before."""
    from terraclick.server.main import _listening

    async def option():
        seen = asyncio.get_running_loop().create_future()

        def connected(reader, writer):
            sock = writer.get_extra_info("socket")
            seen.set_result(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listening = _listening("127.0.0.1", 0)
        server = await asyncio.start_server(connected, sock=listening)
        _, writer = await asyncio.open_connection(*listening.getsockname())
        found = await seen
        writer.close()
        server.close()
        return found

    assert asyncio.run(option())
