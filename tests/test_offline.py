"""Nothing leaves this machine: every verb under watch, with an empty home; whom it asks and what it leaves behind."""

import ast
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from watch import Watch, can_trace

import terraclick
from terraclick.cli import cli
from terraclick.offline import REPORTS
from terraclick.store.geopackage import GeoPackageStore

PACKAGE = Path(terraclick.__file__).parent
ROOT = PACKAGE.parents[1]
CLICK = ("--click", "500264.6,4649637.1")


@pytest.fixture
def watch(tmp_path):
    return Watch(tmp_path)


def assert_quiet(seen, code=0, session=None, tokens=None):
    """`tokens`: the folder where a server keeps the tokens of its sessions, and the folders above it."""
    assert seen.code == code, seen.output
    assert seen.asked == [], "it asked the network"
    left = [path for path in seen.left if session is None or not path.startswith(str(session))]
    if tokens is not None:
        above = {str(folder) for folder in tokens.parents}
        left = [path for path in left if path not in above and not path.startswith(str(tokens))]
    assert left == [], "it left files that nobody asked for"


VERBS = {  # verb: runs of it, each the words after the verb; <data>, <session> and <weights> are files made for them
    "segment": [(("sample", *CLICK, "--out", "a.gpkg", "--preview", "a.png"), ["a.gpkg", "a.png"])],
    "sample": [(("--out", "s.tif"), ["s.tif"])],
    "map": [
        (
            ("sample", "--model", "greenness", "--out", "m.tif", "--polygons", "m.gpkg"),
            ["m.gpkg", "m.tif", "m.tif.aux.xml"],
        ),
        (
            ("sample", "--model", "greenness", "--out", "d.tif", "--executor", "dask", "--workers", "1"),
            ["d.tif", "d.tif.aux.xml"],
        ),
        (("sample", "--model", "greenness", "--out", "p.tif", "--executor", "processes"), ["p.tif", "p.tif.aux.xml"]),
    ],
    "benchmark": [
        (
            ("--predictor", "terra", "--target", "object", "--data", "<data>", "--limit", "1", "--plot", "b.png"),
            ["b.png"],
        )
    ],
    "train": [(("simpleclick-small", "--data", "<data>", "--out", "run", "--steps", "1"), None)],
    "export": [(("simpleclick-xt", "--weights", "<weights>", "--out", "files"), None)],
    "convert": [(("<weights>", "ours", "--as", "simpleclick-xt"), ["ours.json", "ours.safetensors"])],
    "export-session": [(("<session>", "all"), ["all"])],
    "export-parts": [(("<parts>", "apart"), ["apart"])],
    "import-session": [(("<labels>", "new.gpkg"), ["new.gpkg"])],
    "replay": [(("<session>",), [])],
    "prepare": [(("inria",), [])],
    "results": [((), [])],
    "models": [((), []), (("--cost", "simpleclick-xt", "--threads", "1"), [])],
    "doctor": [((), [])],
}
for _path in sorted(
    (Path(__file__).parent / "commands").glob("test_*.py")
):  # verbs whose runs stand in their own tests
    _spec = spec_from_file_location(_path.stem, _path)
    _module = module_from_spec(_spec)
    _spec.loader.exec_module(_module)
    VERBS |= getattr(_module, "WATCHED", {})
NEEDS = {  # verb: what its runs here need beyond the base install
    "train": "torch",
    "export": "torch",
    "convert": "torch",
    ("map", 1): "distributed",
    ("benchmark", 0): "matplotlib",
    ("models", 1): "torch",
}
RUNS = [(verb, index) for verb, runs in VERBS.items() for index in range(len(runs))]


def test_every_verb_is_watched():
    assert set(VERBS) | {"serve"} == set(cli.commands)


@pytest.mark.parametrize(("verb", "index"), RUNS, ids=lambda value: str(value))
def test_a_verb_asks_nobody_and_leaves_nothing(verb, index, watch, request):
    needed = NEEDS.get((verb, index), NEEDS.get(verb))
    if needed is not None and find_spec(needed) is None:
        pytest.skip(f"needs {needed}")
    words, files = VERBS[verb][index]
    session = None
    for name in ("data", "weights", "session", "labels", "parts"):
        if any(f"<{name}>" in word for word in words):
            made = request.getfixturevalue(f"{name}_file")
            words = [word.replace(f"<{name}>", str(made)) for word in words]
            session = made if name in ("session", "parts") else session
    seen = watch.seen(watch.start(verb, *words))
    assert_quiet(seen, session=session)
    if files is not None:
        assert sorted(path.name for path in watch.folder.iterdir()) == files


@pytest.mark.slow
def test_the_sam_family_asks_nobody_and_leaves_nothing(watch):
    """`transformers`, which by itself asks a hub and keeps a cache in the home folder."""
    pytest.importorskip("transformers", reason="needs the extra terraclick[sam]")
    assert_quiet(watch.seen(watch.start("models", "--cost", "sam2-hiera-tiny", "--threads", "1"), timeout=600))


def test_serve_asks_nobody_and_leaves_nothing(watch):
    pytest.importorskip("fastapi", reason="needs the extra terraclick[app]")
    process = watch.start("serve", "sample", "--session", "s.gpkg", "--port", "0", "--no-browser")
    address = process.stdout.readline().strip()
    page, _, token = address.partition("?token=")
    for path in ("api/state", "api/openapi.json", "docs"):
        asking = urllib.request.Request(page + path, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(asking, timeout=60) as answer:
            assert answer.status == 200
    time.sleep(3)  # what reports by itself does so after a while
    os.kill(_child_of(process.pid) if can_trace() else process.pid, signal.SIGINT)
    seen = watch.seen(process)
    kept = watch.home / ".local" / "state" / "terraclick" / "tokens"
    assert_quiet(seen, seen.code, tokens=kept)
    assert sorted(path.name for path in watch.folder.iterdir()) == ["s.gpkg"]
    (token_file,) = kept.iterdir()  # so that an open page is let in again after a restart
    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600


def test_the_watch_sees_what_python_and_libraries_do(watch):
    """What the tests above would miss if this failed: a look-up, a connection, a file in the home folder."""
    code = (
        "import os, socket; open(os.path.expanduser('~/left'), 'w').close(); socket.socket().connect_ex(('1.2.3.4', 9))"
    )
    command = [sys.executable, "-c", code]
    if can_trace():
        command = ["strace", "-f", "-qq", "-e", "trace=connect,openat", "-o", str(watch.logs / "trace"), *command]
    process = subprocess.Popen(command, env=watch.environment(), stdout=subprocess.PIPE, text=True)
    seen = watch.seen(process)
    assert str(watch.home / "left") in seen.left
    assert any("1.2.3.4" in call for call in seen.asked)


@pytest.mark.skipif(not can_trace(), reason="needs strace")
def test_the_engine_reports_where_nobody_switches_it_off(watch):
    """The reason for it all: a version of ONNX Runtime that reports is caught by the watch, but not behind our door."""
    switched = _engine(watch, "from terraclick.inference.runtime import onnx_runtime; onnx_runtime()")
    assert switched.left == [] and switched.asked == []
    if not _engine(watch, "import onnxruntime").left:
        pytest.skip("this version of ONNX Runtime keeps no device id")


def _engine(watch, code):
    command = [sys.executable, "-c", code + "; import time; time.sleep(1)"]
    process = subprocess.Popen(command, env=watch.environment(), stdout=subprocess.PIPE, text=True)
    return watch.seen(process)


def test_the_switches_win_over_the_environment():
    code = (
        "import os, terraclick; from terraclick import offline\n"
        "silent = {n: os.environ[n] for n in offline.REPORTS}\n"
        "offline.stay_offline()\n"
        "print(silent == offline.REPORTS, {n: os.environ[n] for n in offline.DOWNLOADS} == offline.DOWNLOADS)"
    )
    against = {name: "0" for name in REPORTS} | {"PROJ_NETWORK": "ON", "HF_HUB_OFFLINE": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | against, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "True"], done.stderr


def test_only_one_file_imports_the_engine():
    """In the package, its tests and tools: `onnx_runtime()` is the one door."""
    folders = [PACKAGE, *(ROOT / name for name in ("tests", "dev", "benchmarks"))]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    doors = [path.name for path in files if _imports_engine(ast.parse(path.read_text(encoding="utf-8")))]
    assert doors == ["runtime.py"]


def _imports_engine(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        if any(name.split(".")[0] == "onnxruntime" for name in names):
            return True
    return False


def test_proj_asks_no_server_for_grids():
    """A shift between datums whose grid is not installed: PROJ would fetch it where PROJ_NETWORK is ON."""
    code = (
        "from terraclick.offline import stay_offline; stay_offline()\n"
        "import pyproj, pyproj.network; print(pyproj.network.is_network_enabled())"
    )
    environment = os.environ | {"PROJ_NETWORK": "ON"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def _child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


@pytest.fixture(scope="module")
def data_file(tiny_dataset):
    return tiny_dataset.parent


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")
    from terraclick.networks.checkpoint import load_network

    path = tmp_path_factory.mktemp("weights") / "xt.pth"
    torch.save({"state_dict": load_network("simpleclick-xt", random=0).state_dict()}, path)
    return path


@pytest.fixture(scope="module")
def labels_file(session_file):
    out = session_file.with_name("labels.geojson")
    command = [sys.executable, "-m", "terraclick", "segment", "sample", *CLICK, "--out", str(out)]
    subprocess.run(command, check=True, timeout=180)
    return out


@pytest.fixture(scope="module")
def session_file(tmp_path_factory):
    out = tmp_path_factory.mktemp("session") / "a.gpkg"
    command = [sys.executable, "-m", "terraclick", "segment", "sample", *CLICK, "--out", str(out)]
    subprocess.run(command, check=True, timeout=180)
    return out


@pytest.fixture
def parts_file(session_file, tmp_path):
    """The session with its object once more, as a part of itself."""
    path = tmp_path / "parts" / "a.gpkg"
    path.parent.mkdir()
    shutil.copy(session_file, path)
    with GeoPackageStore.open(path) as store:
        (whole,) = store.objects()
        (thing,) = store.update_many([(replace(whole, class_name="house"), None, None)])
        own = {"part_of": thing.uuid}
        store.add(replace(thing, uuid="", rev=0, class_name="roof", attributes=own))
    return path
