from click.testing import CliRunner

from terraclick.cli import cli

WATCHED = {"bounds": [(("sample",), [])]}


def test_bounds_are_printed():
    assert CliRunner().invoke(cli, ["bounds", "sample"]).output.startswith("500000, ")
