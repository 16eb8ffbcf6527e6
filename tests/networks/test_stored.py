"""Checkpoints as their authors' code writes them, and as attackers do: tensors come out, nothing is imported or run."""

import hashlib
import importlib
import io
import json
import pickle
import shutil
import struct
import subprocess
import sys
import time
import tracemalloc
import types
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hostile_pickles import KINDS, Name, call, emit, whole

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")
from torch import nn  # noqa: E402

from terraclick.blocks.layers import ClickViTConfig  # noqa: E402
from terraclick.cli import cli  # noqa: E402
from terraclick.errors import BadWeights  # noqa: E402
from terraclick.networks.bicor.network import PUBLISHED, BicorConfig, BicorNetwork, build_published  # noqa: E402
from terraclick.networks.checkpoint import (  # noqa: E402
    convert,
    left_out,
    load_network,
    load_published,
    read_published,
    save_network,
)
from terraclick.networks.initial import initialise  # noqa: E402
from terraclick.networks.plain_pickle import Damaged, Stub, read_pickle  # noqa: E402
from terraclick.networks.simpleclick.network import SimpleClick, SimpleClickConfig  # noqa: E402
from terraclick.networks.stored import open_stored  # noqa: E402

TINY = SimpleClickConfig(ClickViTConfig(dim=32, heads=2, depth=4, size=224), (8, 16, 32, 64), 16)
SOURCE = """
from torch import nn

def cross_entropy(pred, label):
    return pred

class CrossEntropyLoss(nn.Module):
    def __init__(self):
        super().__init__()
        self.use_sigmoid, self.reduction, self.class_weight = False, "mean", None
        self.cls_criterion = cross_entropy
"""
LOSS = "isegm.model.modeling.transformer_helper.cross_entropy_loss"


@pytest.fixture
def foreign(monkeypatch):
    """Make modules that exist while a file is written, and are gone when it is read."""
    made = []

    def make(name, **content):
        module = types.ModuleType(name)
        for parent in [".".join(name.split(".")[:n]) for n in range(1, name.count(".") + 1)]:
            sys.modules.setdefault(parent, types.ModuleType(parent))
            made.append(parent)
        for key, value in content.items():
            setattr(module, key, value)
            value.__module__, value.__qualname__, value.__name__ = name, key, key
        sys.modules[name] = module
        made.append(name)

    def forget():
        for name in made:
            sys.modules.pop(name, None)

    yield make, forget
    forget()


def weights_of(network):
    """A network's arrays, named as the published code names them (those that a rule renames)."""
    back = [
        ("embed_clicks.", "patch_embed_coords.proj."),
        ("neck.stride", "neck.down_"),
        ("head.laterals.", "head.convs."),
    ]
    back += [("head.fuse.", "head.fusion_conv."), ("head.logits.", "head.conv_seg.")]
    named = {}
    for name, value in network.state_dict().items():
        for ours, theirs in back:
            name = theirs + name.removeprefix(ours) if name.startswith(ours) else name
        named[name] = value
    return OrderedDict(named)


def config_with(loss):
    """The config that the isegm family keeps in its checkpoints, with the loss object of its model scripts."""
    head = {
        "in_channels": [8, 16, 32, 64],
        "dropout_ratio": 0.1,
        "num_classes": 1,
        "loss_decode": loss,
        "upsample": "x1",
    }
    params = {
        "use_disks": {"type": "builtin", "value": True, "specified": True},
        "norm_layer": {"type": "class", "value": "torch.nn.modules.batchnorm.BatchNorm2d", "specified": False},
        "head_params": {"type": "builtin", "value": head, "specified": True},
    }
    return {"class": "isegm.model.is_plainvit_model.PlainVitModel", "params": params}


def same(found, expected):
    return found.keys() == expected.keys() and all(torch.equal(found[k], expected[k]) for k in expected)


@pytest.mark.parametrize("zipped", [True, False], ids=["archive", "before 1.6"])
def test_simpleclick_as_its_code_saves_it(zipped, monkeypatch, tmp_path):
    """A loss object with its function in the config, and an epoch that is a NumPy number."""
    folder = tmp_path / "code" / Path(*LOSS.split(".")).parent
    folder.mkdir(parents=True)
    (folder / "cross_entropy_loss.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    module = importlib.import_module(LOSS)
    torch.manual_seed(0)
    network = SimpleClick(TINY)
    content = {"state_dict": weights_of(network), "config": config_with(module.CrossEntropyLoss())}
    content["epoch"] = np.int64(54)
    content["best"] = np.float32(0.5)
    path = tmp_path / "cocolvis.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    monkeypatch.undo()
    for name in [name for name in sys.modules if name.split(".")[0] == "isegm"]:
        del sys.modules[name]
    shutil.rmtree(tmp_path / "code")
    heard = []
    written = convert(path, tmp_path / "ours", "simpleclick", TINY, heard.append)
    assert same(load_network("simpleclick-b", written).state_dict(), network.state_dict())
    assert heard == [{f"{LOSS}.CrossEntropyLoss": 1, f"{LOSS}.cross_entropy": 0}]
    said = left_out(heard[0])
    assert said == f"Left out, not imported and not run: {LOSS}.CrossEntropyLoss, {LOSS}.cross_entropy."
    value = open_stored(path).value
    assert (value["epoch"], value["best"]) == (54, 0.5)
    stub = value["config"]["params"]["head_params"]["value"]["loss_decode"]
    assert isinstance(stub, Stub) and stub.state["reduction"] == "mean"
    assert LOSS not in sys.modules and "isegm" not in sys.modules


def test_the_verb_says_what_it_left_out(foreign, tmp_path):
    make, forget = foreign

    class CrossEntropyLoss(nn.Module):
        pass

    make(LOSS, CrossEntropyLoss=CrossEntropyLoss)
    torch.save(
        {"state_dict": weights_of(SimpleClick(TINY)), "config": config_with(CrossEntropyLoss())}, tmp_path / "a.pth"
    )
    forget()
    (tmp_path / "sizes.json").write_text(_described(TINY), encoding="utf-8")
    words = ["convert", str(tmp_path / "a.pth"), str(tmp_path / "ours"), "--as", "simpleclick-b"]
    done = CliRunner().invoke(cli, [*words, "--config", str(tmp_path / "sizes.json")])
    assert done.exit_code == 0 and done.stdout.strip().endswith("ours.safetensors")
    assert f"a.pth holds more than weights. Left out, not imported and not run: {LOSS}.CrossEntropyLoss." in done.stderr


def _described(config):
    from dataclasses import asdict

    return json.dumps({"family": "simpleclick", "config": asdict(config)})


@pytest.mark.parametrize("layout", [".pkl", ".pkl, newer", ".pth"])
def test_crosscut_as_jittor_saves_it(layout, foreign, tmp_path):
    """Jittor's pickle of variables with a checksum; its `.pth`, an archive whose storages have numbers for keys."""
    make, forget = foreign

    class Var:
        def __init__(self, array):
            self.array = array

        def __reduce__(self):
            return (Var, (self.array,))

    class CrossEntropyLoss:
        def __init__(self):
            self.ignore_index, self.weight = 255, Var(np.ones(2, np.float32))

    make("jittor", Var=Var)
    make("jittor.nn", CrossEntropyLoss=CrossEntropyLoss)
    torch.manual_seed(0)
    network = SimpleClick(TINY)
    state = {name: value.numpy() for name, value in weights_of(network).items()}
    path = tmp_path / f"crosscut{layout[:4]}"
    if layout == ".pth":
        _jittor_archive(path, state, {"loss_decode": CrossEntropyLoss()})
    else:
        wrap = Var if layout == ".pkl" else np.asarray
        content = {"state_dict": {k: wrap(v) for k, v in state.items()}, "config": config_with(CrossEntropyLoss())}
        data = pickle.dumps(content, 4)
        path.write_bytes(data + hashlib.sha1(data).digest() + b"HCAJSLHD")
    forget()
    heard = []
    found = read_published(path, heard.append)
    assert same(load_published("simpleclick", found, TINY).state_dict(), network.state_dict())
    assert heard == [{"jittor.nn.CrossEntropyLoss": 1}]
    if layout != ".pth":
        path.write_bytes(path.read_bytes().replace(b"ignore_index", b"ignore_indeX"))
        with pytest.raises(BadWeights, match="checksum"):
            read_published(path)


class _FloatStorage:
    pass


def _rebuild(*parts):
    return parts


def _jittor_archive(path, state, config):
    """Jittor's writer: protocol 2, classes named as torch's, keys of storages as numbers, members side by side."""
    stored = []

    class Storage:
        def __init__(self, array):
            self.array = array

    class Tensor:
        def __init__(self, array):
            self.array = array

        def __reduce__(self):
            strides = tuple(step // self.array.itemsize for step in self.array.strides)
            return (_rebuild, (Storage(self.array), 0, self.array.shape, strides, False, {}))

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            if not isinstance(obj, Storage):
                return None
            stored.append(np.ascontiguousarray(obj.array))
            return ("storage", _FloatStorage, len(stored) - 1, "cpu", obj.array.size)

    buffer = io.BytesIO()
    before = (_FloatStorage.__module__, _FloatStorage.__qualname__, _rebuild.__module__, _rebuild.__qualname__)
    old = torch.FloatStorage, torch._utils._rebuild_tensor_v2
    torch.FloatStorage, torch._utils._rebuild_tensor_v2 = _FloatStorage, _rebuild
    _FloatStorage.__module__, _FloatStorage.__qualname__ = "torch", "FloatStorage"
    _rebuild.__module__, _rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    try:
        Pickler(buffer, 2).dump({"state_dict": {k: Tensor(v) for k, v in state.items()}, "config": config})
    finally:
        torch.FloatStorage, torch._utils._rebuild_tensor_v2 = old
        _FloatStorage.__module__, _FloatStorage.__qualname__, _rebuild.__module__, _rebuild.__qualname__ = before
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{path.stem}/data.pkl", buffer.getvalue())
        archive.writestr(f"{path.stem}/byteorder", "little")
        for index, array in enumerate(stored):
            archive.writestr(f"{path.stem}/data/{index}", array.tobytes())
        archive.writestr(f"{path.stem}/version", "3")


BICOR = BicorNetwork(BicorConfig(6, (96, 192, 384, 768), embed=32, layers=2), "convnext-tiny")
PARTS = {
    "query": "dict_to_feat",
    "value": "feat_to_dict",
    "gate": "gate_mlp",
    "candidate": "cand_mlp",
    "gain": "gamma_proj",
}
PARTS |= {"shift": "beta_proj", "feature_norm": "feat_ln", "class_norm": "dict_ln"}
HEAD = {"norm": "upsampler.1", "classify": "classifier_proj", "auxiliary": "static_classifier"}
LEAVES = {"depthwise": "block.0", "norm": "block.2", "widen": "block.3", "narrow": "block.5", "gamma": "layer_scale"}


def bicor_name(name):
    """Our name of an array of BiCoR-Seg → the one in the authors' checkpoints."""
    parts = name.split(".")
    if parts[:3] == ["encoder", "net", "steps"]:
        stage, index = int(parts[3]), int(parts[4])
        return ".".join(["encoder.0", str(2 * stage), str(1 - index if stage == 0 else index), *parts[5:]])
    if parts[:3] == ["encoder", "net", "stages"]:
        return ".".join(["encoder.0", str(2 * int(parts[3]) + 1), parts[4], LEAVES[parts[5]], *parts[6:]])
    if name == "decoder.embeddings":
        return "decoder.class_dict.class_embed.weight"
    if name.startswith("decoder.aggregate.project."):
        return ".".join(["proj_layers", parts[3], "proj", *parts[4:]])
    if name.startswith("decoder.aggregate.fuse."):
        return ".".join(["feature_aggregator", *parts[3:]])
    if name.startswith("decoder.layers."):
        return ".".join(["decoder.bicor_stack.layers", parts[2], PARTS[parts[3]], *parts[4:]])
    return ".".join(["decoder", HEAD[parts[2]], *parts[3:]])


@pytest.mark.parametrize("file", ["bicor.py", "bicor_seg.py"])
def test_bicor_as_lightning_saves_it(file, foreign, tmp_path):
    """Callbacks keyed by their class, optimiser states, a dict of its own kind; names of both files."""
    make, forget = foreign

    class ModelCheckpoint:
        pass

    class AttributeDict(dict):
        pass

    class Lookahead:
        def __init__(self):
            self.state = defaultdict(dict)

    make("pytorch_lightning.callbacks.model_checkpoint", ModelCheckpoint=ModelCheckpoint)
    make("pytorch_lightning.utilities.parsing", AttributeDict=AttributeDict)
    make("catalyst.contrib.nn", Lookahead=Lookahead)
    torch.manual_seed(0)
    network = build_published(BICOR)
    state = {}
    for name, value in network.state_dict().items():
        theirs = bicor_name(name)
        if file == "bicor_seg.py":
            theirs = theirs.replace("class_dict", "dict_init").replace("bicor_stack", "interactor_stack")
            theirs = theirs.replace("proj_layers", "linear_c").replace("feature_aggregator", "aggregator")
            theirs = "backbone" + theirs.removeprefix("encoder") if theirs.startswith("encoder") else theirs
        state[f"net.{theirs}"] = value[:, None, None] if theirs.endswith("layer_scale") else value
    content = {
        "epoch": 29,
        "global_step": 9450,
        "pytorch-lightning_version": "2.1.0",
        "state_dict": OrderedDict(state),
        "callbacks": {ModelCheckpoint: {"best_model_score": torch.tensor(0.5), "best_k_models": {}}},
        "optimizer_states": [{"state": defaultdict(dict, {0: {"step": torch.tensor(1.0)}}), "wrapped": Lookahead()}],
        "hyper_parameters": AttributeDict(lr=8e-5),
    }
    torch.save(content, tmp_path / "bicor.ckpt")
    forget()
    heard = []
    found = read_published(tmp_path / "bicor.ckpt", heard.append)
    assert same(load_published("bicor", found, BICOR).state_dict(), network.state_dict())
    assert heard[0]["catalyst.contrib.nn.Lookahead"] == 1
    assert "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint" in heard[0]
    assert set(PUBLISHED) == {"bicor-loveda", "bicor-vaihingen", "bicor-potsdam"}


def test_tensors_of_every_kind_come_out_as_torch_reads_them(tmp_path):
    """Views, shared storages, empty ones, all types, parameters, NumPy arrays, a tensor pickled by pickle alone."""
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    kinds = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16]
    kinds += [torch.int8, torch.uint8, torch.bool, torch.complex64]
    state = {
        "whole": base,
        "turned": base.T,
        "part": base[1:3, ::2],
        "one": torch.tensor(3.0),
        "none": torch.zeros(0, 5),
        "parameter": nn.Parameter(torch.rand(3, 2)),
        **{str(kind): torch.ones(3, 2).to(kind) for kind in kinds},
    }
    for zipped in (True, False):
        path = tmp_path / f"{zipped}.pth"
        torch.save(state, path, _use_new_zipfile_serialization=zipped)
        found = read_published(path)
        truth = torch.load(path, weights_only=True)
        assert same(found, truth) and all(found[name].dtype == truth[name].dtype for name in truth)
    path = tmp_path / "plain.pkl"
    path.write_bytes(pickle.dumps({"a": torch.rand(2, 3), "b": np.asfortranarray(np.arange(6.0).reshape(2, 3))}))
    assert torch.equal(read_published(path)["b"], torch.arange(6.0, dtype=torch.float64).reshape(2, 3))
    for protocol in range(2, 6):
        arrays = {
            "c": np.arange(6, dtype=">i2").reshape(2, 3),
            "d": np.float16([1, 2]),
            "e": np.array(["text"], object),
        }
        path.write_bytes(pickle.dumps(arrays | {"f": np.int64(3), "g": {1, 2}, "h": frozenset("a")}, protocol))
        found = read_published(path.with_suffix(".pkl")) if protocol < 0 else None
        content = open_stored(path).value
        assert content["c"].read().tolist() == [[0, 1, 2], [3, 4, 5]] and content["d"].read().tolist() == [1, 2]
        assert content["f"] == 3 and sorted(content["g"]) == [1, 2]


def test_checkpoints_of_other_habits(tmp_path):
    """Namespaces of arguments, paths, times, data-parallel names, and an object that is a kind of dict."""
    import argparse
    import datetime

    state = {"module.a": torch.rand(2), "module.b": torch.rand(3)}
    content = {
        "model": state,
        "args": argparse.Namespace(lr=1e-3, out=Path("x")),
        "time": datetime.datetime(2026, 1, 1),
    }
    torch.save(content, tmp_path / "a.pth")
    heard = []
    assert read_published(tmp_path / "a.pth", heard.append).keys() == {"a", "b"}
    assert {"argparse.Namespace", "datetime.datetime"} <= set(heard[0])


def plain_vit(dim=32, depth=4, patch=14, side=37, extra=(), classes=1):
    """A ViT with 14 px patches, named as DINOv2's and timm's checkpoints name it."""
    torch.manual_seed(1)
    donor = SimpleClick(TINY).backbone.state_dict()
    state = {name: torch.rand_like(value) for name, value in donor.items()}
    state["patch_embed.proj.weight"] = torch.randn(dim, 3, patch, patch)
    state["pos_embed"] = torch.rand(1, classes + side * side, dim)
    state |= {f"blocks.{k}.ls{n}.gamma": torch.rand(dim) for k in range(depth) for n in (1, 2)}
    state |= {"norm.weight": torch.rand(dim), "norm.bias": torch.rand(dim), "cls_token": torch.rand(1, 1, dim)}
    return state | {name: torch.rand(1, 4, dim) for name in extra}


@pytest.mark.parametrize(
    ("extra", "classes"),
    [(("mask_token",), 1), (("register_tokens", "mask_token"), 1), (("reg_token",), 0), (("reg_token",), 1)],
    ids=["DINOv2", "DINOv2 with registers", "timm reg4", "timm reg4 with class position"],
)
def test_a_vit_of_14_px_patches_starts_a_network_of_16(extra, classes, tmp_path):
    state = plain_vit(extra=extra, classes=classes)
    torch.save(state, tmp_path / "dinov2_vitb14.pth")
    network = initialise("simpleclick", tmp_path / "dinov2_vitb14.pth", config=TINY)
    weight = network.backbone.state_dict()["patch_embed.proj.weight"]
    picture = torch.rand(1, 3, 14, 14)
    larger = nn.functional.interpolate(picture, size=(16, 16), mode="bilinear")
    theirs = nn.functional.conv2d(picture, state["patch_embed.proj.weight"])
    torch.testing.assert_close(nn.functional.conv2d(larger, weight), theirs, rtol=1e-3, atol=1e-3)
    assert network.backbone.state_dict()["pos_embed"].shape == (1, 197, 32)


# --- hostile files

READER = """
import os, sys
from pathlib import Path
import terraclick.networks.checkpoint as room
import terraclick.errors
import torch, zipfile, zlib, hashlib, json, encodings.cp437
room.read_published(sys.argv[1])  # everything that reading needs is loaded now
seen = []
WATCHED = ("import", "exec", "compile", "os.", "subprocess.", "socket.", "ctypes.", "pickle.", "shutil.", "sqlite3.",
           "tempfile.", "urllib.", "ftplib.", "webbrowser.", "code.", "function.__new__", "object.__setattr__")
HARMLESS = ("os.listdir", "os.scandir", "os.fwalk")
def note(event, args):
    if event.startswith(WATCHED) and event not in HARMLESS:
        seen.append((event, str(args)[:80]))
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        seen.append((event, str(args)[:80]))
sys.addaudithook(note)
for path in sys.argv[2:]:
    seen.clear()
    try:
        room.read_published(path)
    except terraclick.errors.BadWeights:
        pass
    found = list(seen)
    print(path, found)
"""


def hostile_files(folder, mark):
    """Every kind, alone in a file, in an archive's config, beside tensors, and in Jittor's and the older layouts."""
    files = []
    for number, build in enumerate(KINDS.values()):
        data = build(str(mark))
        (folder / f"{number}.pkl").write_bytes(data)
        torch.save({"state_dict": {"a": torch.zeros(1)}}, folder / f"{number}.pth")
        with (
            zipfile.ZipFile(folder / f"{number}.pth") as clean,
            zipfile.ZipFile(folder / f"{number}.zip.pth", "w") as bad,
        ):
            for info in clean.infolist():
                bad.writestr(info.filename, data if info.filename.endswith("data.pkl") else clean.read(info))
        (folder / f"{number}.jt.pkl").write_bytes(data + hashlib.sha1(data).digest() + b"HCAJSLHD")
        old = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)
        (folder / f"{number}.old.pth").write_bytes(old + data + pickle.dumps([], 2))
        nested = whole({"state_dict": {"a": call("torch.storage._load_from_bytes", data)}})
        (folder / f"{number}.nested.pkl").write_bytes(nested)
        files += [folder / f"{number}{end}" for end in (".pkl", ".zip.pth", ".jt.pkl", ".old.pth", ".nested.pkl")]
    return files


def test_nothing_of_hostile_pickles_is_imported_or_run(tmp_path):
    """Five layouts of every kind, read in a process where every import, call of a compiler and opened file is heard."""
    mark = tmp_path / "executed"
    torch.save({"a": torch.zeros(1)}, tmp_path / "clean.pth")
    files = hostile_files(tmp_path, mark)
    command = [sys.executable, "-c", READER, str(tmp_path / "clean.pth"), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(files) >= 20 * 5
    assert [line for line in lines if not line.endswith(" []")] == []
    assert not mark.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_the_kinds_are_hostile(kind, tmp_path):
    """Each does run where Python reads it: the test above proves something."""
    mark = tmp_path / "executed"
    (tmp_path / "bad.pkl").write_bytes(KINDS[kind](str(mark)))
    code = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "bad.pkl")], capture_output=True, timeout=60)
    assert mark.exists()


def test_a_hostile_config_beside_good_weights_is_named(tmp_path):
    network = SimpleClick(TINY)
    state = weights_of(network)
    torch.save({"state_dict": state}, tmp_path / "good.pth")
    data = emit(call("os.system", f"touch {tmp_path / 'executed'}"))
    with zipfile.ZipFile(tmp_path / "good.pth") as clean, zipfile.ZipFile(tmp_path / "bad.pth", "w") as bad:
        for info in clean.infolist():
            content = clean.read(info)
            if info.filename.endswith("data.pkl"):
                content = content[:2] + b"}" + emit("config") + data + b"s" + emit("state_dict")
                inner = clean.read(info)[2:-1]
                content = b"\x80\x02}(" + emit("config") + data + emit("state_dict") + inner + b"u."
            bad.writestr(info.filename, content)
    heard = []
    with pytest.raises(BadWeights, match="holds no tensors"):  # a dict in a dict in a dict is no state dict
        read_published(tmp_path / "bad.pth", heard.append)
    assert heard == [{"os.system": 1}] and not (tmp_path / "executed").exists()


LARGE = 2**40


def archive_with(path, pickled, members=()):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickled)
        for name, data in members:
            archive.writestr(f"a/{name}", data)
    return path


def tensor_of(count, shape, stride=None, offset=0, key="0", storage="FloatStorage"):
    """The instructions of a tensor as PyTorch's archives hold it, its figures made up."""
    numbers = [str(int(n)) for n in (count, offset)]
    sides = b"(" + b"".join(b"L%dL\n" % n for n in shape) + b"t"
    steps = b"(" + b"".join(b"L%dL\n" % n for n in stride or [1] * len(shape)) + b"t"
    ident = b"(" + emit("storage") + emit(Name("torch", storage)) + emit(key) + emit("cpu") + b"L" + numbers[0].encode()
    made = emit(Name("torch._utils", "_rebuild_tensor_v2")) + b"(" + ident + b"L\ntQL" + numbers[1].encode() + b"L\n"
    return b"\x80\x02}" + emit("a") + made + sides + steps + b"\x89}tRs."


MADE_UP = {
    "more numbers than stored": (tensor_of(LARGE, (LARGE,)), [("data/0", b"\0" * 16)]),
    "shape beyond the storage": (tensor_of(4, (2, 3), (3, 1)), [("data/0", b"\0" * 16)]),
    "offset beyond the storage": (tensor_of(4, (2,), (1,), 3), [("data/0", b"\0" * 16)]),
    "negative side": (tensor_of(4, (-2,)), [("data/0", b"\0" * 16)]),
    "endless repetition": (tensor_of(4, (2**62, 2**62), (0, 0)), [("data/0", b"\0" * 16)]),
    "no storage": (tensor_of(4, (4,)), []),
    "another kind of storage": (tensor_of(4, (4,), storage="QInt8Storage"), [("data/0", b"\0" * 16)]),
    "a path as key": (tensor_of(4, (4,), key="../../etc/passwd"), []),
    "a program": (tensor_of(4, (4,)), [("code/a.py", b""), ("data/0", b"\0" * 16)]),
    "many dimensions": (tensor_of(4, (1,) * 40), [("data/0", b"\0" * 16)]),
}


@pytest.mark.parametrize("kind", MADE_UP)
def test_figures_that_do_not_fit_are_refused(kind, tmp_path):
    path = archive_with(tmp_path / "bad.pth", *MADE_UP[kind])
    with pytest.raises(BadWeights) as caught:
        read_published(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 250


def _deep(opening, closing, depth):
    return b"\x80\x02" + opening * depth + closing * depth + b"."


STRANGE = {
    "a place in the memo far away": b"\x80\x02K\x01r\xff\xff\xff\xff.",
    "bytes that are not there": b"\x80\x04\x8e" + struct.pack("<Q", LARGE) + b"x",
    "text that is not there": b"\x80\x04\x8d" + struct.pack("<Q", LARGE) + b"x",
    "bytearray that is not there": b"\x80\x05\x96" + struct.pack("<Q", LARGE) + b"x",
    "a long number that is not there": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"x",
    "a frame that is not there": b"\x80\x04\x95" + struct.pack("<Q", LARGE) + b"N",
    "a very deep key": b"\x80\x02}" + b")" + b"\x85" * 200_000 + b"Ns.",
    "a very deep list": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "doubled again and again": b"\x80\x02)" + b"2\x86" * 5_000 + b".",
    "an empty stack": b"\x80\x02.",
    "marks only": b"((((((.",
    "no end": b"\x80\x02K\x01",
    "a list of a list as key": b"\x80\x02}]Ns.",
    "append to a number": b"\x80\x02K\x01K\x01a.",
    "an id without a file": b"\x80\x02K\x01Q.",
    "a text id": b"Pabc\n.",
    "a buffer from elsewhere": b"\x80\x05\x97.",
    "an unknown instruction": b"\x80\x02\xff.",
    "a number of a million digits": b"L" + b"9" * 1_000_000 + b"L\n.",
}


@pytest.mark.parametrize("kind", STRANGE)
def test_strange_pickles_cost_neither_time_nor_memory(kind, tmp_path):
    path = tmp_path / "strange.pkl"
    path.write_bytes(STRANGE[kind])
    tracemalloc.start()
    start = time.process_time()
    with pytest.raises(BadWeights):
        read_published(path)
    assert time.process_time() - start < 20
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * 2**20


def test_a_cut_file_is_refused_wherever_it_is_cut(tmp_path):
    state = {"state_dict": {"a": torch.rand(50, 50), "b": torch.rand(7)}, "epoch": np.int64(3)}
    for zipped in (True, False):
        torch.save(state, tmp_path / "whole.pth", _use_new_zipfile_serialization=zipped)
        data = (tmp_path / "whole.pth").read_bytes()
        for end in range(0, len(data) - 1, max(1, len(data) // 60)):
            (tmp_path / "cut.pth").write_bytes(data[:end])
            with pytest.raises(BadWeights):
                read_published(tmp_path / "cut.pth")


def test_changed_bytes_never_end_in_another_error(tmp_path):
    """Bytes of the pickle changed at random: weights or BadWeights, nothing else."""
    torch.save({"state_dict": {"a": torch.rand(3)}, "n": np.float32(1)}, tmp_path / "a.pth")
    with zipfile.ZipFile(tmp_path / "a.pth") as archive:
        pickled = archive.read(next(n for n in archive.namelist() if n.endswith("data.pkl")))
    rng = np.random.default_rng(0)
    for _ in range(1500):
        changed = bytearray(pickled)
        for place in rng.integers(0, len(changed), rng.integers(1, 6)):
            changed[place] = rng.integers(0, 256)
        try:
            read_published(archive_with(tmp_path / "b.pth", bytes(changed), [("data/0", b"\0" * 12)]))
        except BadWeights:
            pass


def test_the_machine_equals_pickle_on_plain_values():
    values = [
        1,
        -1,
        2**70,
        1.5,
        "é",
        b"\xff",
        None,
        True,
        (),
        [],
        {},
        [1, [2, (3,)]],
        {"a": {1: (2, 3)}},
        bytearray(b"x"),
    ]
    values += [
        {1, 2},
        frozenset({3}),
        "x" * 70000,
        list(range(3000)),
        {str(i): i for i in range(3000)},
        ("a", "b", "c", "d"),
    ]
    for protocol in range(6):
        for value in values:
            found = read_pickle(io.BytesIO(pickle.dumps(value, protocol)), {}).value
            if not isinstance(found, Stub):  # older protocols make sets and bytes by a call
                assert found == value and type(found) is type(value)


def test_unknown_ids_are_refused():
    with pytest.raises(Damaged, match="outside of it"):
        read_pickle(io.BytesIO(b"\x80\x02K\x01Q."), {})


def test_converted_files_can_be_read_by_others_and_keep_their_name(tmp_path):
    import os

    network = SimpleClick(TINY)
    old = os.umask(0o022)
    try:
        written = save_network(network, "simpleclick", TINY, tmp_path / "weights.v2")
    finally:
        os.umask(old)
    assert written == tmp_path / "weights.v2.safetensors"
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "weights.v2.safetensors": 0o644,
        "weights.v2.json": 0o644,
    }
    assert same(load_network("simpleclick-b", written).state_dict(), network.state_dict())


@pytest.mark.slow
def test_the_authors_map_network_becomes_a_map_model(monkeypatch, tmp_path):
    """From their checkpoint to a folder for `terraclick map`; a smaller ConvNeXt in place of the published one."""
    from terraclick.classmap.model import open_map
    from terraclick.networks.bicor import network as bicor

    monkeypatch.setitem(bicor.PUBLISHED, "bicor-potsdam", BICOR)
    torch.manual_seed(0)
    network = build_published(BICOR).eval()
    torch.save(
        {"state_dict": {f"net.{bicor_name(k)}": v for k, v in network.state_dict().items()}}, tmp_path / "b.ckpt"
    )
    words = ["export", "bicor-potsdam", "--weights", str(tmp_path / "b.ckpt"), "--out", str(tmp_path / "made")]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    model = open_map(tmp_path / "made", 1)
    assert [kind.name for kind in model.spec.classes][:2] == ["impervious", "building"] and model.spec.side == 512
    image = np.random.default_rng(0).integers(0, 256, (512, 512, 3)).astype(np.uint8)
    with torch.no_grad():
        truth = network(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255).logits[0].log_softmax(0)
    assert np.abs(model(image)[0] - truth.numpy()).max() < 1e-2
