"""A public name, a path prefix, TLS and compression in front: by headers here, through a real nginx in the slow set."""

import base64
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from starlette.testclient import TestClient
from tests_app_help import draw, outline_house, ring

from terraclick.errors import BadConfig
from terraclick.server.address import public_address
from terraclick.server.application import create_app
from terraclick.server.tokens import kept_file, kept_tokens, tokens_for

ITEMS = "/api/collections/objects/items"
PIXELS = {"crs": "pixels", "image": "town"}


@pytest.fixture
def public(client, tmp_path):
    """The same server behind https://maps.example.org/clicks, as a proxy calls it."""
    address = public_address("https://maps.example.org/clicks")
    app = create_app(client.space, {"token-anna": "anna", "token-ben": "ben"}, tmp_path / "out", public=address)
    return TestClient(app, base_url="http://127.0.0.1:8000", headers={"Authorization": "Bearer token-anna"})


PROXIES = {
    "prefix taken off, own host": ("", {}),
    "prefix kept, own host": ("/clicks", {}),
    "prefix taken off, public host": ("", {"Host": "maps.example.org"}),
    "prefix kept, public host": ("/clicks", {"Host": "maps.example.org"}),
    "with a port": ("/clicks", {"Host": "maps.example.org:443"}),
}


@pytest.mark.parametrize("kind", PROXIES)
def test_everything_bears_the_public_address(public, kind):
    prefix, headers = PROXIES[kind]
    browser = headers | {"Origin": "https://maps.example.org", "Sec-Fetch-Site": "same-origin"}
    first = public.get(f"{prefix}/?token=token-anna", headers=browser | {"Authorization": ""}, follow_redirects=False)
    assert (first.status_code, first.headers["location"]) == (303, "/clicks/")
    cookie = first.headers["set-cookie"]
    assert "Path=/clicks/;" in cookie and "Secure" in cookie and "HttpOnly" in cookie
    feature = {"type": "Feature", "geometry": ring(10, 10, 20, 20), "properties": {"image": "town"}}
    made = public.post(prefix + ITEMS, params=PIXELS, json=feature, headers=browser)
    assert made.status_code == 201 and made.headers["location"].startswith(f"/clicks{ITEMS}/")
    for path in ("/api", "/api/collections", "/api/collections/objects", f"{ITEMS}?limit=1", made.headers["location"]):
        answer = public.get(path if path.startswith("/clicks") else prefix + path, headers=headers)
        assert answer.status_code == 200
        hrefs = [link["href"] for link in links_in(answer.json())]
        assert hrefs and all(href.startswith("https://maps.example.org/clicks/") for href in hrefs), hrefs
        assert "127.0.0.1" not in answer.text and "8000" not in answer.text
    made = public.post(prefix + "/api/exports", json={"format": "csv", "name": "all"}, headers=browser).json()
    assert made["url"] == "/clicks/api/exports/all.csv"
    assert public.get("/clicks/api/exports/all.csv", headers=headers).status_code == 200
    servers = public.get(prefix + "/api/openapi.json", headers=headers).json()["servers"]
    assert servers == [{"url": "https://maps.example.org/clicks"}]


def links_in(value):
    if isinstance(value, dict):
        if "href" in value and "rel" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from links_in(part)


def test_the_prefix_without_its_slash_leads_on(public):
    answer = public.get("/clicks?token=x", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (308, "/clicks/?token=x")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://maps.example.org"},
        {"Origin": "https://maps.example.org:8443"},
        {"Origin": "https://maps.example.org.evil.example"},
        {"Origin": "https://[", "Host": "maps.example.org"},
        {"Host": "evil.example"},
        {"Host": "evil.example", "X-Forwarded-Host": "maps.example.org"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_strangers_stay_outside(public, headers):
    assert public.get("/api/state", headers=headers).status_code in (400, 403)


def test_forwarded_headers_change_nothing(client):
    forged = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "Forwarded": "host=evil.example"}
    answer = client.get("/api", headers=forged | {"X-Forwarded-Prefix": "/evil"})
    assert "evil" not in answer.text and answer.json()["links"][0]["href"] == "http://127.0.0.1:8000/api"


@pytest.mark.parametrize(
    "text",
    ["maps.example.org", "ftp://x", "https://", "https://a/?q=1", "https://u:p@a/", "https://a/../b", "https://a:x"],
)
def test_public_addresses_that_are_none(text):
    with pytest.raises(BadConfig, match="--public-url"):
        public_address(text)


# --- tokens ----------------------------------------------------------------------------------------------------------


def basic(name, token):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{token}".encode()).decode()}


def test_programs_may_come_in_by_basic_or_by_address(client):
    for headers in (basic("ben", "token-ben"), basic("", "token-ben")):
        assert client.get("/api/state", headers=headers).json()["user"] == "ben"
    for headers in (basic("anna", "token-ben"), basic("ben", "wrong"), {"Authorization": "Basic ?"}, basic("ben", "")):
        assert client.get("/api/state", headers=headers).status_code == 401
    bare = {"Authorization": ""}
    assert client.get("/api/state?token=token-ben", headers=bare).json()["user"] == "ben"
    assert client.get("/api/state?token=wrong", headers=bare).status_code == 401
    outline_house(client)
    page = client.get(f"{ITEMS}?limit=1&token=token-ben", headers=bare).json()
    assert all("token=token-ben" in link["href"] for link in page["links"] if link["rel"] in ("self", "next"))
    assert "token" not in client.get(f"{ITEMS}?limit=1").text


def test_a_program_is_asked_for_basic_and_a_browser_is_not(client):
    program = client.get("/api/state", headers={"Authorization": "", "User-Agent": "Mozilla/5.0 QGIS/32216"})
    assert "Basic" in program.headers["www-authenticate"]
    browser = client.get("/api/state", headers={"Authorization": "", "User-Agent": "Mozilla/5.0 Firefox/140.0"})
    assert browser.headers["www-authenticate"] == "Bearer"


def test_tokens_in_a_file_are_the_same_at_every_start(tmp_path):
    file = tmp_path / "tokens.txt"
    first = tokens_for(("anna", "ben b"), file, {}, lambda: "me")
    assert sorted(first.values()) == ["anna", "ben b"] and len(set(first)) == 2
    assert os.stat(file).st_mode & 0o077 == 0
    assert tokens_for((), file, {}, lambda: "me") == first
    more = tokens_for(("anna", "ben b", "cleo"), file, {}, lambda: "me")
    assert {token: name for token, name in more.items() if name != "cleo"} == first
    file.write_text("# ours\nanna my-own-secret-token\n")
    assert tokens_for((), file, {}, lambda: "me") == {"my-own-secret-token": "anna"}


def test_a_token_of_ones_own(tmp_path):
    assert tokens_for((), None, {"TERRACLICK_TOKEN": "correct-horse-battery"}, lambda: "me") == {
        "correct-horse-battery": "me"
    }
    assert tokens_for(("anna",), None, {}, lambda: "me") is None


def test_the_tokens_of_a_session_survive_a_restart_on_the_same_machine(tmp_path):
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    one, other = (kept_file(str(tmp_path / name), environ) for name in ("one.gpkg", "other.gpkg"))
    first = kept_tokens(("anna",), one, lambda: "me")
    assert kept_tokens(("anna",), one, lambda: "me") == first != kept_tokens(("anna",), other, lambda: "me")
    assert one.stat().st_mode & 0o777 == 0o600 and one.parent.stat().st_mode & 0o077 == 0
    both = kept_tokens(("anna", "ben"), one, lambda: "me")
    assert first.items() < both.items()
    assert kept_tokens(("ben",), one, lambda: "me") == {token: name for token, name in both.items() if name == "ben"}
    one.chmod(0o644)  # others could have read it
    assert not set(kept_tokens(("anna",), one, lambda: "me")) & set(first)
    one.write_text("nonsense")
    assert len(kept_tokens((), one, lambda: "me")) == 1


def test_where_tokens_cannot_be_kept_every_start_has_its_own(tmp_path):
    (tmp_path / "file").write_text("")
    for file in (None, kept_file("a", {"XDG_STATE_HOME": str(tmp_path / "file")})):
        assert kept_tokens((), file, lambda: "me") != kept_tokens((), file, lambda: "me")
    assert kept_file("a", {}) is None


@pytest.mark.parametrize(
    "text", ["anna", "anna short", "anna bad/token/here!", "anna abcdefghijkl\nben abcdefghijkl", "\xff"]
)
def test_token_files_that_cannot_be(tmp_path, text):
    file = tmp_path / "tokens.txt"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadConfig):
        tokens_for((), file, {}, lambda: "me")


def test_tokens_that_cannot_be(tmp_path):
    for users, file, token in (((), None, "short"), (("a", "b"), None, "x" * 20), ((), tmp_path / "t", "x" * 20)):
        with pytest.raises(BadConfig):
            tokens_for(users, file, {"TERRACLICK_TOKEN": token}, lambda: "me")


# --- conditions ------------------------------------------------------------------------------------------------------


def whole(feature, **more):
    return {"type": "Feature", "geometry": feature["geometry"], "properties": {"image": "town", **more}}


STALE = [
    '"1"',
    'W/"1"',
    "1",
    '"1-gzip"',
    '"1", "7"',
    "abc",
    '"',
    "W/",
    '"2',
    "2; q=1",
    '"2" "3"',
    "",
    '"x"',
    "'2'",
    '"2",',
]
FRESH = ['"2"', 'W/"2"', '"2-gzip"', '"2--gzip"', '"1", "2"', 'W/"7" , W/"2"', "*"]


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_a_stale_or_unreadable_condition_fails(client, method):
    path = f"{ITEMS}/{outline_house(client)['id']}"
    feature = client.patch(path, params=PIXELS, json={"label": "hers"}).json()
    bodies = {"put": {"json": whole(feature, label="mine")}, "patch": {"json": {"label": "mine"}}, "delete": {}}
    for tag in STALE:
        answer = (
            getattr(client, method)(path, headers={"If-Match": tag}, params=PIXELS, **bodies[method])
            if (method != "delete")
            else client.delete(path, headers={"If-Match": tag})
        )
        assert (answer.status_code, answer.json()["error"]) == (412, "PreconditionFailed"), tag
    for name, value in (
        ("If-Unmodified-Since", "Mon, 01 Jan 2001 00:00:00 GMT"),
        ("If-Unmodified-Since", "yesterday"),
        ("If-None-Match", "*"),
        ("If-None-Match", 'W/"2"'),
    ):
        answer = client.request(method.upper(), path, headers={name: value}, **bodies[method])
        assert answer.status_code == 412, (name, value)
    assert client.get(path).json()["properties"]["label"] == "hers"
    assert len(client.get(ITEMS).json()["features"]) == 1  # nothing kept beside it either: the sender has it


@pytest.mark.parametrize("tag", FRESH)
def test_a_fresh_condition_holds_also_behind_compression(client, tag):
    path = f"{ITEMS}/{outline_house(client)['id']}"
    feature = client.patch(path, params=PIXELS, json={"label": "hers"}).json()
    answer = client.put(path, params=PIXELS, headers={"If-Match": tag}, json=whole(feature, label="mine"))
    assert (answer.status_code, answer.headers["etag"]) == (200, '"3"')


def test_conditions_on_what_is_not_there(client):
    feature = whole({"geometry": ring(0, 0, 9, 9)})
    assert client.put(f"{ITEMS}/none", params=PIXELS, headers={"If-Match": "*"}, json=feature).status_code == 412
    assert client.post("/api/undo", headers={"If-Match": '"1"'}).status_code == 412


def test_a_reader_that_has_it_is_told_so(client):
    path = f"{ITEMS}/{outline_house(client)['id']}"
    assert client.get(path, headers={"If-None-Match": 'W/"1"'}).status_code == 304
    assert client.get(path, headers={"If-None-Match": '"9"'}).status_code == 200
    assert client.get(path, headers={"If-None-Match": "rubbish"}).status_code == 200


# --- methods, numbers, letters ---------------------------------------------------------------------------------------


def test_head_and_options(client):
    made = outline_house(client)
    for path in ("/", "/docs", "/static/app.js", "/api", "/api/state", ITEMS, f"{ITEMS}/{made['id']}", "/api/events"):
        answer = client.head(path)
        assert (answer.status_code, answer.content) == (200, b""), path
        allow = client.options(path).headers["allow"].split(", ")
        assert {"GET", "HEAD", "OPTIONS"} <= set(allow), path
    assert "POST" in client.options(ITEMS).headers["allow"]
    assert {"PUT", "PATCH", "DELETE"} <= set(client.options(f"{ITEMS}/{made['id']}").headers["allow"].split(", "))
    refused = client.delete(ITEMS)
    assert refused.status_code == 405 and "POST" in refused.headers["allow"] and "GET" in refused.headers["allow"]
    assert client.options("/api/nowhere").status_code == 404 and client.head("/api/nowhere").status_code == 404
    assert client.options(ITEMS, headers={"Authorization": ""}).status_code == 401


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e400", "1" + "0" * 60, "-1e12", "x", ""])
def test_numbers_at_the_edge(client, value):
    name = client.post("/api/sessions", json={"image": "town"}).json()["id"]
    assert client.get(f"/api/sessions/{name}/preview?x={value}&y=1").status_code == 400
    assert client.get(f"/api/sessions/{name}/outline?simplify_m={value}").status_code == 400
    assert client.get(f"{ITEMS}?limit={value}").status_code == 400
    assert client.get(f"{ITEMS}?bbox=0,0,1,{value}").status_code == 400
    assert client.get(f"/api/images/town/tiles/pixels/0/0/0?gamma={value}").status_code == 400
    assert client.get(f"/api/images/town/tiles/pixels/{value or 'z'}/0/0").status_code in (400, 404)
    raw = f'{{"x": {value or "null"}, "y": 1}}'.replace("inf", "1e999").replace("nan", "NaN")
    json_kind = {"Content-Type": "application/json"}
    for path in (f"/api/sessions/{name}/clicks", "/api/images/town/prefetch"):
        assert client.post(path, content=raw, headers=json_kind).status_code in (400, 422)


def test_names_no_file_can_have(same_client):
    for name in ("%00", "a%00b", "x" * 5000, "%ff", "..%5c..%5cx"):
        for path in ("/static/", "/api/exports/", "/api/images/", f"{ITEMS}/", "/api/sessions/", "/api/classes/"):
            verb = same_client.delete if path == "/api/classes/" else same_client.get
            assert verb(path + name).status_code in (400, 404), path + name[:20]


def test_half_letters(client):
    kind = {"Content-Type": "application/json"}
    for body, path, verb in (
        ('{"name": "a\\ud800"}', "/api/classes/house", client.put),
        ('{"image": "town", "class": "\\udfff"}', "/api/sessions", client.post),
        ('{"objects": [{"id": "\\uD800"}], "label": "x"}', "/api/objects/set", client.post),
    ):
        assert verb(path, content=body, headers=kind).status_code == 422
    assert client.put("/api/classes/a", content='{"name": "\\ud83d\\ude00"}', headers=kind).status_code == 200


def test_unknown_parameters_are_refused(client):
    for path in ("/api", "/api/state", ITEMS, "/api/collections", "/api/images/town"):
        answer = client.get(f"{path}?frobnicate=1")
        assert answer.status_code == 400 and "frobnicate" in answer.json()["message"]


def test_no_answer_tells_where_files_lie(client, tmp_path):
    answers = [
        client.get(f"{ITEMS}/none"),
        client.delete(f"{ITEMS}/none"),
        client.delete("/api/classes/none"),
        client.delete("/api/references/none"),
        client.get("/api/exports/none"),
        client.post("/api/objects/none/cut", json={"geometry": ring(0, 0, 1, 1)}),
        client.put("/api/classes/a", json={"name": "b"}),
        client.put("/api/classes/c", json={"name": "b"}),
    ]
    assert [answer.status_code for answer in answers[:6]] == [404] * 6
    for answer in answers:
        assert str(tmp_path) not in answer.text and "work.gpkg" in answer.text + "work.gpkg"


# --- a real proxy ----------------------------------------------------------------------------------------------------

NGINX = """
{user} worker_processes 1; daemon off; error_log stderr; pid {folder}/nginx.pid;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  gzip on; gzip_types application/json application/geo+json; gzip_min_length 1; gzip_proxied any;
  server {{
    listen 127.0.0.1:{port} ssl; server_name maps.example.org;
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
{location}
  }}
}}
"""


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def documented(program):
    """A program's part of docs/server.md, as it stands there."""
    text = (Path(__file__).parents[2] / "docs" / "server.md").read_text(encoding="utf-8")
    return text.split(f"```{program}\n", 1)[1].split("```", 1)[0]


def location_of_the_docs(port):
    """The nginx part of docs/server.md, as it stands there."""
    block = documented("nginx")
    assert "location /clicks/" in block
    start = block.index("location /clicks/")
    return block[start : block.index("}", start) + 1].replace("127.0.0.1:8000", f"127.0.0.1:{port}")


CADDY = """
{{
    admin off
    grace_period 1s
    auto_https disable_redirects
    skip_install_trust
    storage file_system {folder}/caddy
}}
https://maps.example.org:{port} {{
    bind 127.0.0.1
    tls {folder}/cert.pem {folder}/key.pem
{site}
"""


def site_of_the_docs(port):
    """The Caddy part of docs/server.md, as it stands there, without its first line."""
    block = documented("caddy")
    assert block.startswith("maps.example.org {")
    return block.split("\n", 1)[1].replace("127.0.0.1:8000", f"127.0.0.1:{port}")


@contextlib.contextmanager
def started_behind(program, tmp_path, config):
    """The public port of a server behind a proxy with its own certificate; config(port, backend) is the proxy's."""
    if not shutil.which(program) or not shutil.which("openssl"):
        pytest.skip(f"{program} or openssl is not installed here (see dev/programs.sh)")
    port, backend = free_port(), free_port()
    where = {"cwd": tmp_path, "check": True, "capture_output": True}
    subject = ["-subj", "/CN=maps.example.org", "-addext", "subjectAltName=DNS:maps.example.org"]
    key = ["-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2"]
    subprocess.run(["openssl", "req", "-x509", *key, *subject], **where)
    file = tmp_path / "proxy.conf"
    file.write_text(config(port, backend))
    town = draw(tmp_path / "town.tif")
    words = ["serve", str(town), "--no-browser", "--port", str(backend), "--out", str(tmp_path), "--model", "grabcut"]
    words += ["--public-url", f"https://maps.example.org:{port}/clicks"]
    environ = os.environ | {"TERRACLICK_TOKEN": "a-token-of-our-own", "HOME": str(tmp_path)}
    server = subprocess.Popen(
        [sys.executable, "-m", "terraclick", *words], stdout=subprocess.PIPE, text=True, env=environ
    )
    with_config = ["-p", str(tmp_path), "-c", str(file)]
    with_config = with_config if program == "nginx" else ["run", "--config", str(file), "--adapter", "caddyfile"]
    with open(tmp_path / "proxy.log", "w") as log:
        proxy = subprocess.Popen([program, *with_config], stderr=log, env=environ)
    try:
        first = server.stdout.readline().strip()
        assert first == f"https://maps.example.org:{port}/clicks/?token=a-token-of-our-own"
        yield port
    finally:
        for process in (proxy, server):
            process.terminate()
            process.wait(20)
        server.stdout.close()


@pytest.mark.slow
def test_through_nginx_with_tls_prefix_and_gzip(tmp_path):
    user = "user root;" if os.geteuid() == 0 else ""

    def config(port, backend):
        return NGINX.format(user=user, folder=tmp_path, port=port, location=location_of_the_docs(backend))

    with started_behind("nginx", tmp_path, config) as port:
        one = visit_through_the_proxy(port)
        assert one.headers["etag"] == 'W/"1"' and one.headers["content-encoding"] == "gzip"


@pytest.mark.slow
def test_through_caddy_with_tls_prefix_and_gzip(tmp_path):
    def config(port, backend):
        return CADDY.format(folder=tmp_path, port=port, site=site_of_the_docs(backend))

    with started_behind("caddy", tmp_path, config) as port:
        one = visit_through_the_proxy(port)
        assert one.headers["etag"].strip('W/"').startswith("1") and "Caddy" in one.headers["server"]


def visit_through_the_proxy(port):
    base = f"https://127.0.0.1:{port}"
    public = f"https://maps.example.org:{port}/clicks"
    headers = {"Host": f"maps.example.org:{port}", "Accept-Encoding": "gzip"}
    by_name = {"request": [lambda request: request.extensions.setdefault("sni_hostname", "maps.example.org")]}
    with httpx2.Client(verify=False, headers=headers, timeout=60, event_hooks=by_name) as client:
        end = time.monotonic() + 30
        while True:
            try:
                first = client.get(f"{base}/clicks/?token=a-token-of-our-own")
                break
            except httpx2.TransportError:
                assert time.monotonic() < end
                time.sleep(0.2)
        assert (first.status_code, first.headers["location"]) == (303, "/clicks/")
        token = {"Authorization": "Bearer a-token-of-our-own", "Origin": f"https://maps.example.org:{port}"}
        assert client.get(f"{base}/clicks/").status_code == 200
        feature = {"type": "Feature", "geometry": ring(10, 10, 20, 20), "properties": {"image": "town"}}
        made = client.post(f"{base}/clicks{ITEMS}", params=PIXELS, json=feature, headers=token)
        assert made.status_code == 201, made.text
        path = base + made.headers["location"]
        one = client.get(path, params=PIXELS, headers=token)
        assert {link["href"].split("/api/")[0] for link in one.json()["links"]} == {public}
        stale = whole(one.json(), label="first")
        first, second = one.headers["etag"], one.headers["etag"].replace("1", "2")
        for expected, tag in ((200, first), (412, first), (200, second)):
            answer = client.put(path, params=PIXELS, json=stale, headers=token | {"If-Match": tag})
            assert answer.status_code == expected, (tag, answer.text)
        with client.stream("GET", f"{base}/clicks/api/events", headers=token) as events:
            assert next(events.iter_lines()) == "event: hello"
        big = client.post(f"{base}/clicks/api/import?name=a.geojson", content=b" " * (3 << 20), headers=token)
        assert big.status_code == 422  # it came through: nginx alone would say 413
        elsewhere = token | {"Origin": "https://a.b"}
        foreign = client.post(f"{base}/clicks{ITEMS}", params=PIXELS, json=feature, headers=elsewhere)
        assert foreign.status_code == 403
        return one
