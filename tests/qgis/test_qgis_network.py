"""The plug-in installs its program by its button, and asks servers elsewhere, through QGIS's proxy and certificates.

The proxy is the program proxy.py, TLS that of nginx with an authority of its own; both see what passes.
"""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time

import pytest
from qgis_play import ROOT, SAMPLE, buildings, by_command_line, missing, needs_desktop, needs_qgis, overlap
from shapely import Point, from_wkt

ELSEWHERE = "127.0.0.2"
"""This machine under a name that the plug-in does not take for it."""
LOGIN = "anna", "se cret:@/"
NGINX = """
{user} worker_processes 1; daemon off; error_log stderr; pid {folder}/nginx.pid;
events {{ worker_connections 64; }}
http {{
  access_log {folder}/seen.log; client_max_body_size 50m;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen {host}:{port} ssl;
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    {location}
  }}
}}
"""
needs_proxy = pytest.mark.skipif(
    bool(missing("nginx", "openssl")) or importlib.util.find_spec("proxy") is None,
    reason="nginx, openssl and the package proxy.py are needed",
)


def free_port(host="127.0.0.1"):
    with socket.socket() as sock:
        sock.bind((host, 0))
        return sock.getsockname()[1]


def wait_for(host, port):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with socket.socket() as sock:
            if sock.connect_ex((host, port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"nothing answers at {host}:{port}")


@pytest.fixture
def running():
    """A function that starts a program, ended after the test."""
    started = []

    def start(words, **options):
        started.append(subprocess.Popen(words, **options))
        return started[-1]

    yield start
    for process in started:
        process.terminate()
        process.wait(20)
        if process.stdout:
            process.stdout.close()


@pytest.fixture
def secure(tmp_path, running):
    """A function that starts nginx with TLS for a location, and gives (port, file of its authority, its log)."""

    def start(location):
        folder = tmp_path / "nginx"
        folder.mkdir()
        where = {"cwd": folder, "check": True, "capture_output": True}
        authority = ["-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2"]
        signs = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        subprocess.run(["openssl", "req", *authority, "-subj", "/CN=Authority of the test", *signs[:2]], **where)
        key = ["-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.csr", "-subj", f"/CN={ELSEWHERE}"]
        subprocess.run(["openssl", "req", *key], **where)
        (folder / "more").write_text(f"subjectAltName=IP:{ELSEWHERE}\nbasicConstraints=CA:FALSE\n")
        sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "more"]
        subprocess.run(["openssl", "x509", "-req", "-in", "cert.csr", "-out", "cert.pem", *sign], **where)
        port = free_port(ELSEWHERE)
        user = "user root;" if os.geteuid() == 0 else ""
        words = {"user": user, "folder": folder, "host": ELSEWHERE, "port": port, "location": location}
        (folder / "nginx.conf").write_text(NGINX.format(**words))
        running(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")])
        wait_for(ELSEWHERE, port)
        return port, folder / "ca.pem", folder / "seen.log"

    return start


@pytest.fixture
def proxy(tmp_path, running):
    """[host, port, user, password] of a proxy with a login, and its log."""
    port, log = free_port(), tmp_path / "proxy.log"
    words = ["--hostname", "127.0.0.1", "--port", str(port), "--num-workers", "1", "--num-acceptors", "1"]
    words += ["--basic-auth", ":".join(LOGIN), "--log-file", str(log), "--data-dir", str(tmp_path / "proxy")]
    running([sys.executable, "-m", "proxy", *words], stderr=subprocess.DEVNULL)
    wait_for("127.0.0.1", port)
    return ["127.0.0.1", str(port), *LOGIN], log


@pytest.fixture(scope="session")
def wheels(tmp_path_factory):
    """A folder of wheel files: this package, and what it needs, from the index that pip is set to."""
    folder = tmp_path_factory.mktemp("wheels")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("terraclick-*.whl")
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary", ":all:", "-d", str(folder)]
    done = subprocess.run([*words, f"{wheel}[app]"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the packages that TerraClick needs cannot be fetched: {done.stderr.strip().splitlines()[-1]}")
    return folder


def index_of(wheels, folder):
    """The wheels as a package index: a folder a project."""
    for wheel in wheels.glob("*.whl"):
        project = folder / "simple" / wheel.name.split("-")[0].lower().replace("_", "-").replace(".", "-")
        project.mkdir(parents=True, exist_ok=True)
        shutil.copy(wheel, project)
    return folder


def says(log, text):
    """Whether a log says a text, which it writes when a connection ends."""
    end = time.monotonic() + 20
    while text not in log.read_text() and time.monotonic() < end:
        time.sleep(0.2)
    return text in log.read_text()


def outlined(found, place, program, tmp_path):
    """Whether the one object is the house that the command line outlines there."""
    (item,) = found["objects"]
    wanted = by_command_line(program, SAMPLE, json.loads(item["clicks"]), tmp_path / "cli.gpkg")
    made = from_wkt(item["wkt"])
    return made.contains(Point(place)) and overlap(made, wanted) > 0.95


@needs_qgis
@pytest.mark.slow
@pytest.mark.parametrize("desktop", [False, pytest.param(True, marks=needs_desktop)], ids=["parts", "desktop"])
def test_the_button_installs_from_a_folder_of_wheels_and_the_first_click_is_answered(
    qgis, program, tmp_path, wheels, desktop
):
    place = buildings(1)[0]
    found = qgis("install", str(SAMPLE), place, str(wheels), desktop=desktop, PATH="/usr/bin:/bin:/usr/sbin:/sbin")
    assert found["error"] == "" and found["count"] > 5, found
    assert found["program"].endswith("terraclick/environment/bin/terraclick")
    assert outlined(found, place, program, tmp_path)


@needs_qgis
@needs_proxy
@pytest.mark.slow
def test_the_button_installs_through_the_proxy_and_certificates_of_qgis(qgis, program, tmp_path, wheels, proxy, secure):
    index = index_of(wheels, tmp_path / "index")
    port, authority, seen = secure(f"root {index}; autoindex on;")
    settings, log = proxy
    environment = {name: "" for name in os.environ if name.startswith("PIP_")}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": f"https://{ELSEWHERE}:{port}/simple"}
    environment |= {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
    place = buildings(1)[0]
    found = qgis("install", str(SAMPLE), place, "", settings, str(authority), **environment)
    assert found["error"] == "", found
    assert outlined(found, place, program, tmp_path)
    assert says(log, f"CONNECT {ELSEWHERE}:{port}"), "the proxy was not asked"
    assert "/simple/terraclick/terraclick-" in seen.read_text()


@needs_qgis
@needs_proxy
@pytest.mark.slow
@pytest.mark.parametrize("lacks", ["certificate", "login"])
def test_without_the_certificate_or_the_login_the_installation_says_why(qgis, tmp_path, proxy, secure, lacks):
    port, authority, _ = secure(f"root {tmp_path}; autoindex on;")
    host, proxy_port, user, _ = proxy[0]
    environment = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": f"https://{ELSEWHERE}:{port}/simple"}
    environment |= {"PATH": "/usr/bin:/bin", "PIP_RETRIES": "1", "PIP_FIND_LINKS": ""}
    if lacks == "certificate":
        found = qgis("install", str(SAMPLE), [0, 0], "", proxy[0], None, **environment)
        assert "does not trust the certificate" in found["error"], found
    else:
        wrong = [host, proxy_port, user, "wrong"]
        found = qgis("install", str(SAMPLE), [0, 0], "", wrong, str(authority), **environment)
        assert "the proxy refuses" in found["error"], found
    assert len(found["said"]) == 1


@needs_qgis
@pytest.mark.slow
def test_an_installation_can_be_cancelled(qgis, wheels):
    found = qgis("cancelled", str(wheels), PATH="/usr/bin:/bin")
    assert found["running"] is False and found["button"] == "Install" and "cancelled" in found["said"][-1]


@needs_qgis
def test_what_pip_is_given_of_the_proxy_of_qgis(qgis):
    http = {"proxyEnabled": True, "proxyType": "HttpProxy", "proxyHost": "proxy.example", "proxyPort": "3128"}
    login = {"proxyUser": "anna", "proxyPassword": "a b:@/", "noProxyUrls": ["http://intern.example/wms", "other"]}
    found = qgis("given_to_pip", [{"proxyEnabled": False}, http, login, {"proxyType": "Socks5Proxy"}])["found"]
    none, plain, full, socks = found
    assert none == {} and "SOCKS" in socks
    assert plain["https_proxy"] == plain["HTTP_PROXY"] == "http://proxy.example:3128"
    assert full["http_proxy"] == "http://anna:a%20b%3A%40%2F@proxy.example:3128"
    assert full["no_proxy"] == "intern.example,other"


@needs_qgis
@needs_proxy
def test_a_server_elsewhere_is_asked_through_the_proxy_and_the_certificates_of_qgis(
    qgis, program, tmp_path, running, proxy, secure
):
    backend = free_port()
    port, authority, seen = secure(
        f"location / {{ proxy_pass http://127.0.0.1:{backend}; proxy_set_header Host $http_host; }}"
    )
    (tmp_path / "server").mkdir()
    words = [str(program), "serve", "--root", str(tmp_path / "server"), "--no-browser", "--port", str(backend)]
    words += ["--out", str(tmp_path / "server"), "--public-url", f"https://{ELSEWHERE}:{port}"]
    environment = os.environ | {"TERRACLICK_TOKEN": "a-token-of-our-own"}
    running(words, env=environment, stdout=subprocess.DEVNULL)
    wait_for("127.0.0.1", backend)
    settings, log = proxy
    place = buildings(1)[0]
    asked = str(SAMPLE), place, f"https://{ELSEWHERE}:{port}", "a-token-of-our-own", settings
    found = qgis("far", *asked, str(authority))
    assert [said for said in found["said"] if "plain text" not in said] == [] and len(found["objects"]) == 1, found
    assert says(log, f"CONNECT {ELSEWHERE}:{port}"), "the proxy was not asked"
    told = seen.read_text()
    assert "POST /api/images/pixels" in told and "PATCH /api/sessions/" in told


@needs_qgis
@needs_proxy
def test_a_server_whose_certificate_nobody_vouches_for_is_refused_in_one_sentence(qgis, proxy, secure):
    port, _, seen = secure("return 204;")
    found = qgis("far", str(SAMPLE), [0, 0], f"https://{ELSEWHERE}:{port}", "a-token", proxy[0], None)
    refused = [said for said in found["said"] if "plain text" not in said]  # where QGIS has no master password
    assert len(refused) == 1 and "No TerraClick server answers" in refused[0], found
    assert "api/state" not in (seen.read_text() if seen.exists() else ""), "the token was sent"
