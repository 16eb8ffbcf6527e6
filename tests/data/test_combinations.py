"""Parts, connected pairs and wholes: what RefCut's combination evaluation asks, and what is shown with it."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from terraclick.cli import main
from terraclick.data.combinations import combination_tasks
from terraclick.data.datasets import open_dataset
from terraclick.data.sample import coarse_outline
from terraclick.evaluate.protocol import EvalProtocol, preset
from terraclick.evaluate.run import run_benchmark
from terraclick.evaluate.task import draw_tasks
from terraclick.values import Target

SHAPE = (60, 120)
FISH = {"head": (10, 30), "body": (30, 80), "tail": (80, 100)}  # columns; the tail does not touch the head


def write(folder, pictures):
    """Pictures (name, parts): a fish (class 1) whose parts are classes 2, 3, 4; layer 1 holds the parts."""
    for part in ("images", "masks", "instances"):
        (folder / part).mkdir(parents=True)
    entries = []
    for name, parts in pictures:
        whole, upper, ids, part_ids = (np.zeros(SHAPE, np.uint16) for _ in range(4))
        objects = [{"id": 1, "cls": 1, "area": 0}]
        for kind, (number, (start, stop)) in enumerate(parts.items(), start=2):
            box = np.s_[10:40, start:stop]
            cls = 2 + list(FISH).index(number)
            whole[box], ids[box], upper[box], part_ids[box] = 1, 1, cls, kind
            objects.append({"id": kind, "cls": cls, "area": 30 * (stop - start), "layer": 1, "of": 1})
        objects[0]["area"] = int(np.count_nonzero(whole))
        image = np.full((*SHAPE, 3), 60, np.uint8)
        image[whole > 0] = 200
        cv2.imwrite(str(folder / "images" / f"{name}.png"), image)
        files = {"mask": [], "instances": []}
        for layer, (classes, instances) in enumerate(((whole, ids), (upper, part_ids))):
            for key, kind, array in (
                ("mask", "masks", classes.astype(np.uint8)),
                ("instances", "instances", instances),
            ):
                files[key].append(f"{kind}/{name}.{layer}.png")
                cv2.imwrite(str(folder / files[key][-1]), array)
        entries.append({"image": f"images/{name}.png", "height": 60, "width": 120, "objects": objects, **files})
    classes = {0: "background", 1: "fish", 2: "head", 3: "body", 4: "tail"}
    meta = {"dataset": "fish", "classes": classes, "true_instances": True, "images": entries}
    (folder / "meta.json").write_text(json.dumps(meta))
    return open_dataset(folder)


@pytest.fixture
def fish(tmp_path):
    without_tail = {name: FISH[name] for name in ("head", "body")}
    return write(tmp_path / "fish", [("a", FISH), ("b", without_tail), ("c", FISH)])


def test_every_combination_of_the_paper(fish):
    tasks = [task for task in combination_tasks(fish) if task.image_id == "a"]
    assert [(task.cls, task.members) for task in tasks] == [
        ("part", (2,)),
        ("part", (3,)),
        ("part", (4,)),
        ("dual", (2, 3)),  # head and tail are not connected
        ("dual", (3, 4)),
        ("whole", (2, 3, 4)),
    ]
    areas = [int(np.count_nonzero(task.truth()[0])) for task in tasks]
    assert areas == [600, 1500, 600, 2100, 2100, 2700]
    assert len({task.name for task in combination_tasks(fish)}) == 6 + 4 + 6


def test_the_reference_is_the_next_object_with_the_same_parts(fish):
    tasks = [task.with_example(fish) for task in combination_tasks(fish) if task.image_id == "a"]
    assert [task.example.id for task in tasks] == [
        "b",
        "b",
        "c",
        "b",
        "c",
        "c",
    ]  # b has no tail, and is whole without it
    head = tasks[0].references("both")
    assert [(np.count_nonzero(one.mask), one.positive) for one in head] == [(600, True), (1500, False)]
    whole = tasks[-1].references("both")
    assert [(np.count_nonzero(one.mask), one.positive) for one in whole] == [(2700, True)]


def test_the_preset_counts_parts_pairs_and_wholes(fish):
    protocol = replace(preset("refcut-combinations"), references="none", max_clicks=2)
    report = run_benchmark("grabcut", Target.OBJECT, [fish], protocol)
    rows = {row["class"]: row["objects"] for row in report.rows()}
    assert rows == {"all": 16, "part": 8, "dual": 5, "whole": 3}
    assert len(draw_tasks(fish, Target.OBJECT, replace(protocol, limit=4))) == 4


def test_references_can_be_coarser_and_of_another_size(fish):
    task = next(task for task in combination_tasks(fish) if task.cls == "whole").with_example(fish)
    plain, coarse = task.references("positive"), task.references("positive", interval=40)
    assert plain[0].mask.shape == coarse[0].mask.shape == SHAPE
    assert 0 < np.count_nonzero(coarse[0].mask) < np.count_nonzero(plain[0].mask)
    (small,) = task.references("positive", scale=0.5)
    assert small.image.shape == (30, 60, 3) and np.count_nonzero(small.mask) == 675
    with pytest.raises(Exception, match="reference_interval"):
        EvalProtocol(reference_interval=0)


def test_outlines_go_straight_between_every_nth_point():
    rows, cols = np.mgrid[:101, :101]
    disc = (rows - 50) ** 2 + (cols - 50) ** 2 <= 40**2
    assert np.array_equal(coarse_outline(disc, 1), disc)
    sizes = [np.count_nonzero(coarse_outline(disc, interval)) for interval in (1, 10, 40, 80)]
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] < 0.8 * sizes[0]
    ring = disc & ((rows - 50) ** 2 + (cols - 50) ** 2 > 20**2)
    assert not coarse_outline(ring, 2)[50, 50]


def test_the_figure_of_coarser_and_smaller_examples(fish, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    words = ["benchmark", "--preset", "refcut-combinations", "--target", "object", "--predictor", "grabcut", "--data"]
    words += [str(fish.folder), "--references", "positive", "--limit", "2", "--max-clicks", "1"]
    for option, values in (("--reference-interval", "1,10,20"), ("--reference-scale", "1,0.5")):
        with pytest.raises(SystemExit) as stopped:
            main([*words, option, values, "--plot", str(tmp_path / "a.png"), "--json", str(tmp_path / "a.json")])
        assert stopped.value.code == 0
        told = json.loads((tmp_path / "a.json").read_text())
        field = option.strip("-").replace("-", "_")
        assert [f"{one['protocol'][field]:g}" for one in told] == values.split(",")
        assert [one["predictor"] for one in told] == [f"grabcut, {option[12:]} {v}" for v in values.split(",")]
        assert cv2.imread(str(tmp_path / "a.png")).std() > 5
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--reference-interval", "1,2", "--reference-scale", "1,2"])
    assert stopped.value.code == 2 and "several of one only" in capsys.readouterr().err
