"""Work spread over tiles: the same answers in the same order from every executor, whatever dies meanwhile."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from terraclick.errors import BadConfig, TerraClickError
from terraclick.scale import map_tiles, worker_count


def squared(tile):
    return tile * tile


def slow_first(tile):
    time.sleep(0.2 if tile == 0 else 0)
    return tile


def failing(tile):
    raise ValueError(f"tile {tile} is bad")


class DiesOnce:
    """Kills its worker at tile 3 unless it did so before; the marker file remembers."""

    def __init__(self, marker):
        self.marker = marker

    def __call__(self, tile):
        if tile == 3 and not Path(self.marker).exists():
            Path(self.marker).touch()
            os.kill(os.getpid(), 9)
        return tile * tile


def dies(tile):
    os.kill(os.getpid(), 9)


def test_local_is_a_plain_loop_and_lazy():
    asked = []
    answers = map_tiles(squared, (asked.append(t) or t for t in range(100)))
    assert next(answers) == (0, 0)
    assert len(asked) == 1


def test_processes_answer_in_order_and_a_bounded_number_of_tiles_is_in_flight():
    asked = []
    answers = map_tiles(slow_first, (asked.append(t) or t for t in range(40)), "processes", 2)
    assert next(answers) == (0, 0)
    assert len(asked) <= 8
    assert [tile for tile, _ in answers] == list(range(1, 40))


def test_a_killed_worker_loses_nothing(tmp_path):
    found = list(map_tiles(DiesOnce(str(tmp_path / "died")), range(12), "processes", 2))
    assert found == [(t, t * t) for t in range(12)]
    assert (tmp_path / "died").exists()


def test_a_tile_that_kills_every_worker_stops_the_run():
    with pytest.raises(TerraClickError, match="the workers died 3 times over tile 0"):
        list(map_tiles(dies, range(3), "processes", 1))


@pytest.mark.parametrize("executor", ["local", "processes"])
def test_what_the_function_raises_is_raised_here(executor):
    with pytest.raises(ValueError, match="tile 0 is bad"):
        list(map_tiles(failing, range(3), executor, 1))


def test_unknown_executors_and_no_workers_are_refused():
    with pytest.raises(BadConfig, match=r"local, processes, dask or dask://HOST:PORT"):
        map_tiles(squared, range(3), "slurm")
    with pytest.raises(BadConfig, match="at least one"):
        map_tiles(squared, range(3), "processes", 0)
    assert worker_count(3) == 3
    assert worker_count(None) >= 1


DASK = """
import sys
sys.path.insert(0, {folder!r})
from terraclick.scale import map_tiles
from test_scale import DiesOnce, squared
if __name__ == "__main__":
    print(list(map_tiles(DiesOnce({marker!r}), range(12), "dask", 2)) == [(t, t * t) for t in range(12)])
    try:
        list(map_tiles(squared, range(3), "dask://127.0.0.1:9"))
    except Exception as error:
        print(type(error).__name__, error)
"""


@pytest.mark.slow
def test_dask_answers_the_same_after_a_killed_worker(tmp_path):
    """In a process of its own, as Dask leaves threads and warnings behind."""
    pytest.importorskip("distributed")
    script = tmp_path / "run.py"
    script.write_text(DASK.format(folder=str(Path(__file__).parent), marker=str(tmp_path / "died")))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=180, env=environment)
    assert run.stdout.splitlines()[0] == "True", run.stderr[-2000:]
    assert run.stdout.splitlines()[1].startswith("BadConfig no Dask scheduler answers at 127.0.0.1:9"), run.stdout
    assert (tmp_path / "died").exists()
