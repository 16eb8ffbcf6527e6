"""A method without weights is one file: `load` and every verb know it by its SPEC."""

import numpy as np
from click.testing import CliRunner

from terraclick import Click, View, load
from terraclick.cli import cli
from terraclick.core.click import Prompt


def test_every_verb_knows_it(tmp_path):
    image = np.zeros((60, 80, 3), np.uint8)
    image[20:40, 30:50] = 200
    predictor = load("brightness")
    answer = predictor.predict(predictor.encode(View(image)), Prompt((Click(30, 40),)), None)
    assert np.array_equal(answer.mask, image[..., 0] > 0)
    for words in (
        ["models", "brightness"],
        [
            "segment",
            "sample",
            "--click",
            "500264.6,4649637.1",
            "--model",
            "brightness",
            "-o",
            str(tmp_path / "a.geojson"),
        ],
    ):
        told = CliRunner().invoke(cli, words, catch_exceptions=False)
        assert told.exit_code == 0, told.output
