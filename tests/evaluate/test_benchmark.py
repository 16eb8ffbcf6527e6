"""The protocol is locked, tasks are drawn by it, runs resume, and the figures are those of the definitions."""

import json
from dataclasses import asdict, replace

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from terraclick.catalogue import load
from terraclick.cli import cli
from terraclick.data.datasets import open_dataset
from terraclick.errors import BadConfig, BadData, UnknownName
from terraclick.evaluate.figures import plot
from terraclick.evaluate.journal import key_of
from terraclick.evaluate.protocol import NEVER, PRESETS, EvalProtocol, preset
from terraclick.evaluate.report import Report, TaskResult
from terraclick.evaluate.robots import CHANCE, DEEPEST, ROBOTS
from terraclick.evaluate.run import run_benchmark
from terraclick.evaluate.task import asked, draw_tasks, run_task
from terraclick.values import Prediction, Target


def test_the_protocol_is_locked():
    assert asdict(EvalProtocol()) == {
        "thresholds": (0.80, 0.85, 0.90),
        "max_clicks": 20,
        "mask_threshold": 0.49,
        "min_area": 256,
        "max_area": None,
        "class_fill": (0.005, 0.80),
        "no_task": ("background", "clutter", "ground", "land"),
        "robot": "RITM: deepest point of the deeper error",
        "chance_draws": 0,
        "limit": None,
        "seed": 0,
        "references": "none",
        "stop_at": None,
        "miou_at": (1, 3, 5),
        "combinations": False,
        "reference_interval": 1,
        "reference_scale": 1.0,
        "box": False,
        "size_groups": 0,
    }


def test_presets_are_known_and_unknown_ones_listed():
    assert preset("crosscut").thresholds == (0.70, 0.75, 0.80)
    with pytest.raises(UnknownName, match="segmap"):
        preset("segmapp")
    assert all(isinstance(protocol, EvalProtocol) for protocol in PRESETS.values())


@pytest.mark.parametrize("wrong", [(), (0.9, 0.8), (80.0, 85.0)])
def test_thresholds_that_contradict_are_refused(wrong):
    with pytest.raises(BadConfig):
        EvalProtocol(thresholds=wrong)


def test_small_objects_and_leftover_classes_are_no_tasks(squares):
    dataset = open_dataset(squares)
    assert [task.instance for task in draw_tasks(dataset, Target.OBJECT, EvalProtocol())] == [1, 1]
    assert [task.cls for task in draw_tasks(dataset, Target.CLASS, EvalProtocol())] == ["roof", "roof"]
    assert len(draw_tasks(dataset, Target.OBJECT, preset("small"))) == 2
    assert len(draw_tasks(dataset, Target.OBJECT, EvalProtocol(limit=1))) == 1


@pytest.mark.parametrize(
    ("kind", "signs"),
    [("none", []), ("both", [True, False]), ("positive", [True]), ("negative", [False]), ("swapped", [False, True])],
)
def test_references_come_from_the_next_picture(squares, kind, signs):
    dataset = replace(open_dataset(squares), classes={1: "roof", 2: "lawn"})
    first, second = (
        task for task in draw_tasks(dataset, Target.CLASS, EvalProtocol(references=kind)) if task.cls == "roof"
    )
    shown = first.references(kind)
    assert [reference.positive for reference in shown] == signs
    for reference in shown:
        assert np.array_equal(reference.image, second.picture.image())
        wanted = reference.positive != (kind == "swapped")
        assert np.array_equal(reference.mask, second.truth()[0] if wanted else ~second.truth()[0])
    with pytest.raises(BadConfig, match="swapped"):
        EvalProtocol(references="all")


def test_clicks_by_chance_have_a_column_of_their_own_and_come_back_from_the_journal(squares, tmp_path):
    journal, protocol = tmp_path / "run.jsonl", EvalProtocol(chance_draws=3)
    run = lambda: run_benchmark("grabcut", Target.OBJECT, [open_dataset(squares)], protocol, journal)  # noqa: E731
    report = run()
    assert all(len(result.by_chance) == 3 for result in report.results)
    plain = run_benchmark("grabcut", Target.OBJECT, [open_dataset(squares)], EvalProtocol())
    assert [result.ious for result in plain.results] == [result.ious for result in report.results]
    draws = report.average()["noc_by_chance"]["90"]
    assert f"{np.mean(draws):.2f} ± {np.std(draws, ddof=1):.2f}" in report.to_markdown()
    assert "by chance" in report.to_markdown() and "by chance |" not in plain.to_markdown()
    assert run().results == report.results
    with pytest.raises(BadConfig, match="chance_draws -1"):
        EvalProtocol(chance_draws=-1)


def test_grabcut_outlines_the_squares_and_a_killed_run_goes_on(squares, tmp_path):
    journal = tmp_path / "run.jsonl"
    run = lambda: run_benchmark("grabcut", Target.OBJECT, [open_dataset(squares)], EvalProtocol(), journal)  # noqa: E731
    first = run()
    assert first.average()["noc"]["80"] <= 3 and first.average()["objects"] == 2
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join(lines[:2]) + '\n{"dataset": "squa')  # killed while writing the second task
    steps = []
    again = run_benchmark(
        "grabcut",
        Target.OBJECT,
        [open_dataset(squares)],
        EvalProtocol(),
        journal,
        progress=lambda d, n: steps.append(d),
    )
    assert steps == [1, 2]
    assert [result.ious for result in again.results] == [result.ious for result in first.results]


def test_another_runs_journal_is_refused(squares, tmp_path):
    journal = tmp_path / "run.jsonl"
    journal.write_text('{"key": "another"}\n')
    with pytest.raises(BadData, match="another run"):
        run_benchmark("grabcut", Target.OBJECT, [open_dataset(squares)], EvalProtocol(), journal)


def test_workers_give_the_same_answers(squares):
    datasets = [open_dataset(squares)]
    alone = run_benchmark("randomwalk", Target.CLASS, datasets, EvalProtocol())
    shared = run_benchmark("randomwalk", Target.CLASS, datasets, EvalProtocol(), workers=2)
    assert [r.ious for r in alone.results] == [r.ious for r in shared.results]


def _report(*ious: tuple[float, ...]) -> Report:
    results = [TaskResult("d", "c", str(i), row, 0.5, 0.1, 0.2) for i, row in enumerate(ious)]
    return Report("fake", Target.OBJECT, EvalProtocol(max_clicks=4), tuple(results))


def test_figures_by_hand():
    row = _report((0.7, 0.83, 0.95), (0.2, 0.3, 0.4, 0.5)).rows()[0]
    assert row["noc"] == {"80": 3.0, "85": 3.5, "90": 3.5} and row["nof"] == {"80": 1, "85": 1, "90": 1}
    assert row["miou"]["1"] == pytest.approx(0.45) and row["miou"]["4"] == pytest.approx(0.725)
    assert row["auc"] == pytest.approx((0.8575 + 0.35) / 2)


def test_average_is_over_datasets_not_tasks():
    results = [TaskResult("a", "c", str(i), (0.95,), 0.5, 0.0, 0.0) for i in range(9)]
    results.append(TaskResult("b", "c", "x", (0.1,), 0.5, 0.0, 0.0))
    average = Report("fake", Target.OBJECT, EvalProtocol(), tuple(results)).average()
    assert average["noc"]["90"] == pytest.approx((1 + 20) / 2)
    low, high = average["interval"]["noc"]["90"]
    assert low <= average["noc"]["90"] <= high


def test_table_and_json_carry_the_protocol():
    report = _report((0.95,))
    assert "mask threshold: 0.49" in report.to_markdown() and "NoC@90" in report.to_markdown()
    content = json.loads(json.dumps(report.to_json()))
    assert content["protocol"]["max_clicks"] == 4 and content["average"]["object"]["noc"]["90"] == 1.0


def test_plot_draws_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    plot([_report((0.5, 0.9)), replace(_report((0.4,)), predictor="other")], tmp_path / "curve.png")
    assert cv2.imread(str(tmp_path / "curve.png")).shape[2] == 3


def test_a_curve_goes_on_beyond_the_highest_threshold(squares):
    cut, whole = (
        run_benchmark(
            "grabcut", Target.OBJECT, [open_dataset(squares)], EvalProtocol((0.5,), stop_at=stop, max_clicks=6)
        )
        for stop in (None, NEVER)
    )
    assert {len(result.ious) for result in cut.results} == {1}
    assert all(len(result.ious) == 6 or result.ious[-1] == 1 for result in whole.results)
    assert cut.average()["noc"] == whole.average()["noc"]
    assert {preset(name).stops for name in ("crosscut", "isrefiner", "segmap")} == {NEVER}
    with pytest.raises(BadConfig, match="must not lie below"):
        EvalProtocol(stop_at=0.5)


def _result(name, ious, area, metres=True):
    return TaskResult("set", "roof", name, ious, 0.5, 1.0, 0.25, (), area, metres)


def test_size_groups_are_quantiles_of_the_area_in_square_metres():
    results = tuple(_result(str(n), (n / 10,), float(area)) for n, area in enumerate((50, 10, 40, 20, 30, 60)))
    report = Report("x", Target.OBJECT, EvalProtocol((0.4,), size_groups=3, miou_at=(1,)), results)
    rows = report.rows()
    assert [row["class"] for row in rows] == ["all", "all, 10 to 20 m²", "all, 30 to 40 m²", "all, 50 to 60 m²"]
    assert [row["objects"] for row in rows] == [6, 2, 2, 2]
    assert [row["miou"]["1"] for row in rows[1:]] == pytest.approx([0.2, 0.3, 0.25])
    assert report.average()["objects"] == 6 and "30 to 40 m²" in report.to_markdown()
    pixels = replace(report, results=tuple(replace(result, in_metres=False) for result in results))
    assert "10 to 20 px" in pixels.to_markdown()


def test_areas_are_of_the_thing_asked_for(squares):
    dataset = open_dataset(squares)
    first, second = (replace(picture, gsd=gsd) for picture, gsd in zip(dataset.pictures, (0.5, None), strict=True))
    report = run_benchmark("grabcut", Target.OBJECT, [replace(dataset, pictures=(first, second))], EvalProtocol())
    assert [(result.area, result.in_metres) for result in report.results] == [(400.0, True), (1600.0, False)]


def test_spc_counts_encoding():
    report = Report("x", Target.OBJECT, EvalProtocol((0.9,)), (_result("a", (0.5, 0.9), 1), _result("b", (0.9,), 1)))
    assert report.average()["spc"] == pytest.approx((2 * 1.0 + 3 * 0.25) / 3)
    assert report.average()["seconds_per_click"] == 0.25


def test_several_predictors_are_compared_in_one_call(squares, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    from terraclick.cli import main

    words = ["benchmark", "--predictor", "grabcut", "--predictor", "grabcut+cfr=2", "--target", "object", "--data"]
    words += [str(squares), "--max-clicks", "3", "--stop-at", "never", "--miou-at", "1,3", "--figures"]
    words += [str(tmp_path / "figures"), "--json", str(tmp_path / "a.json"), "--plot", str(tmp_path / "a.png")]
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    assert "| squares | grabcut+cfr=2 |" in said and "mIoU@3 | SPC |" in said
    told = json.loads((tmp_path / "a.json").read_text())
    assert [one["predictor"] for one in told] == ["grabcut", "grabcut+cfr=2"]
    assert told[0]["protocol"]["stop_at"] > 1 and told[0]["protocol"]["max_clicks"] == 3
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {"squares-01.png", "squares-02.png", "miou.png"}
    assert cv2.imread(str(tmp_path / "figures" / "squares-01.png")).shape == (386, 3 * 360 + 2 * 6, 3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--divisions", "2,3"], "grabcut has no setting divisions"),
        (["--device", "cuda"], "grabcut has no setting device"),
        (["--cfr", "some"], "cannot be read"),
        (["--cfr-clicks", "1"], "without cfr"),
        (["--stop-at", "soon"], "in percent"),
        (["--stop-at", "50"], "must not lie below"),
        (["--predictor", "grabcut"], "given twice"),
        (["--miou-at", "30"], "must lie in 1 to 20"),
        (["--weights", "nowhere.pth"], "does not exist"),
    ],
)
def test_settings_that_do_not_fit_are_one_sentence(words, said, squares, capsys):
    from terraclick.cli import main

    with pytest.raises(SystemExit) as stopped:
        main(["benchmark", "--predictor", "grabcut", "--target", "object", "--data", str(squares), *words])
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and said in error and error.count("\n") == 1


def test_weights_are_given_to_names_with_settings(tmp_path):
    from terraclick.commands.benchmark import weights_of

    names = ["crosscut-b", "crosscut-b+divisions=2,3", "terra"]
    paths = [tmp_path / "a=b.pth", tmp_path / "c.pth"]
    for path in paths:
        path.write_text("")
    found = weights_of(names, [f"crosscut-b={paths[0]}", f"crosscut-b+divisions=2,3={paths[1]}"])
    assert found == {"crosscut-b": paths[0], "crosscut-b+divisions=2,3": paths[1]}
    assert weights_of(["terra"], [str(paths[0])]) == {"terra": paths[0]}
    for text in ("mfp-b=x.pth", str(paths[0])):
        with pytest.raises(BadConfig, match="NAME=PATH"):
            weights_of(names, [text])


def test_agreement_has_a_colour_for_each_kind_of_pixel():
    from terraclick.evaluate.figures import AGREED, MISSED, TOO_MUCH, agreement

    truth, mask = np.array([[1, 1, 0, 0, 1]], bool), np.array([[1, 0, 1, 0, 0]], bool)
    ignore = np.array([[0, 0, 0, 0, 1]], bool)
    shown = agreement(np.zeros((1, 5, 3), np.uint8), truth, mask, ignore)[0]
    wanted = [
        np.round(0.55 * np.array(colour, np.float32)) for colour in (AGREED, MISSED, TOO_MUCH, (0, 0, 0), (0, 0, 0))
    ]
    assert np.array_equal(shown, np.array(wanted, np.uint8))


def test_the_robot_of_the_protocol_clicks(squares):
    task, *_ = draw_tasks(open_dataset(squares), Target.OBJECT, EvalProtocol())
    laid = asked(task, load("grabcut"), EvalProtocol())
    first = {robot: laid.clicked(EvalProtocol(robot=robot, max_clicks=1)).clicks for robot in ROBOTS}
    assert len(set(first.values())) == len(ROBOTS) > 1
    again = laid.clicked(EvalProtocol(robot=CHANCE, max_clicks=1), [7]).clicks
    assert again != first[CHANCE] and laid.clicked(EvalProtocol(max_clicks=1), [7]).clicks == first[DEEPEST]
    with pytest.raises(BadConfig, match="RITM"):
        EvalProtocol(robot="somebody")


def test_what_is_no_task_is_the_protocols_to_say(squares):
    dataset = open_dataset(squares)
    asked_for = lambda *names: {t.cls for t in draw_tasks(dataset, Target.CLASS, EvalProtocol(no_task=names))}  # noqa: E731
    assert asked_for("ground") == {"roof"} and asked_for("roof") <= {"ground"}
    assert draw_tasks(dataset, Target.OBJECT, EvalProtocol(no_task=("roof",))) == []


def test_journals_from_before_go_on(squares, tmp_path):
    """The key of the default protocol is what it was when the protocol held the number of ignored pixels."""
    assert key_of("grabcut", Target.OBJECT, EvalProtocol(), {}) == "7e2bef61365c39fc"


def test_a_box_is_the_first_prompt_and_counts_as_a_click(squares, tmp_path):
    """The first mean IoU is that of the box's answer; the protocol says so, and classes have none."""
    prompts = []

    class Boxed:
        reads_box = True

        def encode(self, view):
            return view.shape

        def predict(self, encoded, prompt, previous):
            prompts.append(prompt)
            probs = np.zeros(encoded, np.float32)
            box = prompt.box
            probs[round(box.top + 0.5) : round(box.bottom + 0.5), round(box.left + 0.5) : round(box.right + 0.5)] = 1
            return Prediction(probs)

    protocol = EvalProtocol(box=True)
    task = draw_tasks(open_dataset(squares), Target.OBJECT, protocol)[0]
    found = run_task(task, Boxed(), protocol)
    assert found.ious == (1.0,) and prompts[0].clicks == () and "box: True" in protocol.lines()
    with pytest.raises(BadConfig, match="object tasks"):
        draw_tasks(open_dataset(squares), Target.CLASS, protocol)
    words = ["--target", "object", "--data", str(squares), "--box", "--limit", "1", "--json", str(tmp_path / "a.json")]
    told = CliRunner().invoke(cli, ["benchmark", "--predictor", "grabcut", *words])
    assert told.exit_code == 0, told.output
    assert json.loads((tmp_path / "a.json").read_text())["protocol"]["box"] is True
