"""What networks cost: counts that can be checked by hand, and the table."""

import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from terraclick import cost  # noqa: E402
from terraclick.cli import cli  # noqa: E402
from terraclick.errors import UnknownName  # noqa: E402
from terraclick.networks.families import network_of  # noqa: E402
from terraclick.networks.focalclick.network import FocalClick, FocalClickConfig  # noqa: E402
from terraclick.networks.ritm.network import Ritm, RitmConfig  # noqa: E402

TINY = {
    "ritm-hrnet18": (Ritm, RitmConfig(4, 8, small=True)),
    "focalclick-b0": (FocalClick, FocalClickConfig((8, 8, 8, 8), (1, 1, 1, 1), (1, 1, 1, 1), head=8, refiner=8)),
}


def test_flops_by_hand():
    image, kernel, q, k = (
        torch.rand(1, 3, 8, 8),
        torch.rand(5, 3, 3, 3),
        torch.rand(1, 2, 10, 4),
        torch.rand(1, 2, 7, 4),
    )

    def act():
        torch.nn.functional.scaled_dot_product_attention(q, k, k)
        return torch.nn.functional.conv2d(image, kernel) @ torch.rand(6, 2)

    answer, flops = cost.count_flops(act)
    assert answer.shape == (1, 5, 6, 2)
    assert flops == 2 * (5 * 36 * 27) + 2 * (2 * 10 * 7 * 4 * 2) + 2 * (5 * 6 * 6 * 2)


@pytest.mark.parametrize("name", TINY)
def test_a_network_is_measured(name):
    kind, config = TINY[name]
    found = cost.measure(name, threads=1, rounds=1, config=config)
    count = sum(p.numel() for p in kind(config).parameters())
    assert (found.parameters, found.trainable, found.side) == (count, count, network_of(name).side)
    assert 0 < found.gflops_view < found.gflops_click and found.ms_view > 0 and found.ms_click > 0
    assert found.mb_kept > 0 and found.mb_peak >= 0
    lines = cost.cost_lines([found], threads=1)
    assert lines[1].split()[0] == name and len({len(line) for line in lines[:2]}) == 1 and "1 threads" in lines[2]


@pytest.mark.parametrize("name", cost.NETWORKS)
def test_every_network_has_an_input_side(name):
    assert network_of(name).side % 16 == 0


def test_unknown_names_are_refused_before_anything_is_measured():
    with pytest.raises(UnknownName, match=r"no network 'terra'\. Known: crosscut-b"):
        next(cost.costs(["ritm-hrnet18", "terra"]))


def test_the_list_can_be_narrowed():
    found = CliRunner().invoke(cli, ["models", "grabcut"])
    assert found.exit_code == 0 and found.output.startswith("grabcut ") and found.output.count("\n") == 1


@pytest.mark.slow
def test_the_verb_measures_in_a_process_of_its_own():
    found = CliRunner().invoke(cli, ["models", "focalclick-b0", "--cost", "--threads", "1"])
    assert found.exit_code == 0 and "focalclick-b0   384       3.7          3.7" in found.output
