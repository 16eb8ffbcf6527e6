"""The plug-in's client against the real server; its package; its translations. No QGIS is needed."""

import ast
import importlib.util
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "qgis" / "terraclick_qgis"


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


client = load("terraclick_qgis_client", PLUGIN / "client.py")
package = load("terraclick_qgis_package", ROOT / "qgis" / "package.py")


class Started:
    """A real server on a free port."""

    def __init__(self, folder, *words):
        self.folder = folder
        self.words = words
        self.start()

    def start(self, port="0"):
        words = [sys.executable, "-m", "terraclick", "serve", *self.words, "--no-browser", "--model", "grabcut"]
        words += ["--out", str(self.folder), "--port", port]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "TERRACLICK_TOKEN": "token-of-the-test"}
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment)
        self.base, self.token = client.parse_address(self.process.stdout.readline())

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def server(tmp_path):
    found = Started(tmp_path, "sample", "--root", str(ROOT / "src" / "terraclick" / "data"))
    yield found
    found.kill()


def test_a_click_session_survives_the_end_of_the_server(server):
    ask = client.Client(server.base, server.token)
    assert ask.state()["model"]["name"] == "grabcut"
    image = ask.add_file(str(ROOT / "src" / "terraclick" / "data" / "sample.tif"))
    assert image["id"] == ask.images()[0]["id"]
    outline = client.Outline("sample", target="object", class_name="building")
    first = outline.click(ask, 882.5, 1210.5, True)["outline"]
    outline.click(ask, 890.5, 1220.5, False)
    assert outline.undo(ask)["outline"] == first and outline.redo(ask)["clicks"][1]["positive"] is False
    second = outline.outline
    port = server.base.rsplit(":", 1)[1]
    server.kill()
    with pytest.raises(client.Unreachable):
        outline.click(ask, 900.5, 1225.5, False)
    assert len(outline.clicks) == 2
    server.start(port)
    outline.forget()
    outline.ready(ask)
    assert outline.outline["geometry"] == second["geometry"]
    outline.close(ask)


def test_what_is_wrong_is_told_in_one_sentence(server):
    with pytest.raises(client.Refused, match="does not accept the token"):
        client.Client(server.base, "another-token").state()
    with pytest.raises(client.Unreachable, match="No TerraClick server answers"):
        client.Client("http://127.0.0.1:9", "token").state()
    ask = client.Client(server.base, server.token)
    with pytest.raises(client.Refused, match="outside the folders"):
        ask.add_file("/etc/passwd")
    with pytest.raises(client.Refused, match="outside the image"):
        ask.segment("sample", [(1e6, 5, True)])
    for text in ("", "nonsense", "ftp://somewhere", "http://[", "http://host:port"):
        with pytest.raises(client.Failure):
            client.parse_address(text)


def test_strangers_and_old_servers_are_named():
    def says(body, status=200):
        return lambda *asked: (status, body)

    with pytest.raises(client.Refused, match="no TerraClick server"):
        client.Client("http://host", "t", says(b"<html>")).state()
    with pytest.raises(client.Refused, match="no TerraClick server"):
        client.Client("http://host", "t", says(b"[1]")).state()
    with pytest.raises(client.Refused, match=r"version 0\.0\.9"):
        client.Client("http://host", "t", says(b'{"version": "0.0.9", "model": {}}')).state()
    with pytest.raises(client.Refused, match="status 502"):
        client.Client("http://host", "t", says(b"bad gateway", 502)).state()


def test_addresses_and_transforms():
    assert client.parse_address("http://127.0.0.1:8000/?token=abc\n") == ("http://127.0.0.1:8000", "abc")
    assert client.parse_address("https://host/clicks/?token=x") == ("https://host/clicks", "x")
    transform = [0.3, 0.1, 500, -0.1, -0.3, 900]
    x, y = client.apply_transform(client.invert_transform(transform), *client.apply_transform(transform, 12.5, 7.25))
    assert (x, y) == (pytest.approx(12.5), pytest.approx(7.25))


def test_the_plug_in_imports_nothing_but_the_standard_library_and_qgis():
    for path in package.files():
        if path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            for name in names:
                top = name.split(".")[0]
                assert top == "qgis" or top in sys.stdlib_module_names, f"{path.name} imports {name}"
                assert "PyQt5" not in name and "PyQt6" not in name


def test_the_zip_holds_texts_alone_and_is_the_same_each_time(tmp_path):
    first, second = package.pack(tmp_path / "a.zip"), package.pack(tmp_path / "b.zip")
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        names = archive.namelist()
        assert all(name.startswith("terraclick_qgis/") for name in names)
        assert {"terraclick_qgis/metadata.txt", "terraclick_qgis/LICENSE", "terraclick_qgis/__init__.py"} <= set(names)
        for name in names:
            archive.read(name).decode("utf-8")
        told = archive.read("terraclick_qgis/metadata.txt").decode()
    for line in ("qgisMinimumVersion=3.22", "qgisMaximumVersion=4.99", "supportsQt6=True", "hasProcessingProvider=yes"):
        assert line in told


def spoken():
    """Every text of the plug-in that a person reads."""
    found = set()
    for path in sorted(PLUGIN.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "tr":
                if isinstance(node.args[0], ast.Constant):
                    found.add(node.args[0].value)
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("TITLE", "HELP"):
                found.add(node.value.value)
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "REASONS":
                found.update(value.value for value in node.value.values)
    return found - {""}


@pytest.mark.parametrize("language", ["de", "fr"])
def test_every_text_is_translated(language):
    tree = ElementTree.parse(PLUGIN / "i18n" / f"terraclick_{language}.ts")
    texts = {item.findtext("source"): item.findtext("translation") for item in tree.iter("message")}
    assert set(texts) == spoken()
    for source, translation in texts.items():
        assert translation and source.count("{}") == translation.count("{}"), source


def test_drawn_pixels_are_sent_once_and_again_only_where_the_server_lacks_them(server, tmp_path):
    ask = client.Client(server.base, server.token)
    colours = np.zeros((64, 96, 3), np.uint8)
    colours[16:40, 24:60] = 220
    png, sent = cv2.imencode(".png", colours)[1].tobytes(), []

    def register(found):
        sent.append(found)
        return found.add_pixels(png, [0.5, 0, 500_000, 0, -0.5, 4_650_000], "EPSG:32633", "drawn")

    image = register(ask)["id"]
    for _ in range(2):
        outline = client.Outline(image, register, by_content=True)
        assert not outline.click(ask, 40.5, 30.5, True)["outline"]["empty"]
    assert len(sent) == 1
    port = server.base.rsplit(":", 1)[1]
    server.kill()
    for path in tmp_path.rglob("window-*.tif"):
        path.unlink()
    server.start(port)
    outline.forget()
    assert not outline.click(ask, 42.5, 32.5, True)["outline"]["empty"] and len(sent) == 2
