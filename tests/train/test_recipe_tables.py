"""Recipes beside their sources: every setting is listed, what differs says why, "published" means no difference."""

from dataclasses import fields, replace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from terraclick.errors import BadConfig  # noqa: E402
from terraclick.evaluate.published.catalogue import TABLES  # noqa: E402
from terraclick.networks.recipe import SETTLED, EpisodeRule, NetworkRecipe, Setting, differing, value_at  # noqa: E402
from terraclick.train.networks import NETWORK_RECIPES, rate_share  # noqa: E402
from terraclick.train.recipe_table import ALL_RECIPES, recipe_page, summary  # noqa: E402
from terraclick.train.semantic_recipes import SEMANTIC_RECIPES  # noqa: E402
from terraclick.train.table_rows import ROWS  # noqa: E402

COMPARED = [name for name, made in ALL_RECIPES.items() if made().sources]


def test_the_papers_recipes_are_compared():
    paper = {"crosscut-b", "isrefiner-b", "mfp-b", "refcut-b", "simpleclick-b", "simpleclick-icl"}
    paper |= {"focalclick-b0", "focalclick-b3", "segnext-b", "ritm-hrnet18", "ritm-hrnet32"}
    assert paper | {"loveda-bicor", "vaihingen-bicor", "potsdam-bicor"} <= set(COMPARED)


@pytest.mark.parametrize("name", COMPARED)
def test_a_difference_says_why_and_nothing_else_does(name):
    recipe = ALL_RECIPES[name]()
    for setting in recipe.sources:
        differs = value_at(recipe, setting.path) != setting.source
        assert differs == bool(setting.why), setting.path
        assert setting.where
    assert len({setting.path for setting in recipe.sources}) == len(recipe.sources)
    if recipe.published:
        assert not differing(recipe)


@pytest.mark.parametrize(
    "name", [name for name in COMPARED if name in NETWORK_RECIPES and name.endswith(("-b", "-b0", "-b3"))]
)
def test_no_setting_is_left_out_of_a_table(name):
    recipe = NETWORK_RECIPES[name]()
    listed = {setting.path for setting in recipe.sources}
    rule = {f"episodes.{field.name}" for field in fields(EpisodeRule) if field.name not in SETTLED}
    own = {field.name for field in fields(NetworkRecipe) if field.name not in (*SETTLED, "episodes")}
    if not recipe.episodes.references:
        rule -= {"episodes.no_reference", "episodes.one_mask"}
    if recipe.first == "one":
        own -= {"erode", "others"}
    assert (rule | own) - listed == set()


def test_a_recipe_that_differs_cannot_be_called_published():
    same = NetworkRecipe("x", "simpleclick", None, sources=(Setting("rate", 5e-5, "paper"),), published=True)
    assert same.published
    with pytest.raises(BadConfig, match=r"x is called published, but differs .* in rate"):
        replace(same, rate=1e-4)
    loveda = SEMANTIC_RECIPES["loveda-bicor"]()
    with pytest.raises(BadConfig, match="judge_on"):
        replace(loveda, published=True)


@pytest.mark.parametrize("name", ALL_RECIPES)
def test_only_published_recipes_are_called_so(name):
    assert "as published" not in summary(name) or ALL_RECIPES[name]().published


def test_the_rate_falls_where_the_papers_let_it_fall():
    refiner = NETWORK_RECIPES["isrefiner-b"]()
    at = {
        epoch: refiner.rate * rate_share(refiner, round(epoch / 60 * refiner.steps)) for epoch in (0, 9, 11, 49, 51, 59)
    }
    assert at == pytest.approx({0: 5e-5, 9: 5e-5, 11: 5e-6, 49: 5e-6, 51: 5e-7, 59: 5e-7})
    crosscut = NETWORK_RECIPES["crosscut-b"]()
    at = {epoch: crosscut.rate * rate_share(crosscut, round(epoch / 55 * crosscut.steps)) for epoch in (0, 49, 51)}
    assert at == pytest.approx({0: 5e-5, 49: 5e-5, 51: 5e-6})


def test_nobody_clips_where_the_authors_do_not():
    assert {NETWORK_RECIPES[name]().clip for name in COMPARED if name in NETWORK_RECIPES} == {None}
    assert {SEMANTIC_RECIPES[name]().clip for name in COMPARED if name in SEMANTIC_RECIPES} == {None}


def test_the_three_sets_have_settings_of_their_own():
    loveda, vaihingen, potsdam = (SEMANTIC_RECIPES[f"{name}-bicor"]() for name in ("loveda", "vaihingen", "potsdam"))
    assert loveda.train_on == ("Train", "Val")
    told = [(c.epochs, c.batch, c.rate, c.layers, c.crop, c.top_k, c.mosaic) for c in (loveda, vaihingen, potsdam)]
    assert told == [
        (30, 8, 8e-5, 2, 512, 0.02, 0.0),
        (45, 4, 5e-5, 2, 768, 1.0, 0.25),
        (45, 4, 1e-4, 3, 768, 1.0, 0.25),
    ]


def test_the_page_names_each_difference():
    page = recipe_page()
    assert page.count("\n## ") == len(COMPARED) + 1
    row = "| `rate` | 5e-05 | section IV (the authors' released configuration: 5e-6) | paper | 5e-05 |  |"
    assert row in page
    assert page.count("from memory") > 5, "what nobody could check is marked"
    assert page.count("| the code |") > 100 and "alibaba/ClickSEG ae9b30a" in page


def test_schedules_are_those_of_the_authors_files():
    """(batch, epochs of 30,000 samples, rate, epochs after which it falls) as the training scripts state them."""
    stated = {
        "simpleclick-b": (32, 55, 5e-5, (50,)),
        "mfp-b": (32, 55, 5e-5, (10,)),
        "ritm-hrnet18": (28, 230, 5e-4, (200, 220)),
        "ritm-hrnet32": (32, 230, 5e-4, (200, 220)),
        "focalclick-b0": (28, 230, 5e-3, (190, 210)),
        "focalclick-b3": (28, 230, 5e-3, (190, 210)),
        "segnext-b": (32, 100, 5e-5, (50, 90)),
        "simpleclick-icl": (32, 5, 5e-6, ()),
    }
    for name, (batch, epochs, rate, falls) in stated.items():
        recipe = NETWORK_RECIPES[name]()
        assert (recipe.batch, recipe.rate) == (batch, rate), name
        assert recipe.steps == pytest.approx(epochs * 30_000 / batch, abs=1), name
        assert recipe.milestones == pytest.approx([epoch / epochs for epoch in falls]), name


def test_every_row_of_every_table_has_a_recipe_or_a_reason():
    rows = [(name, row) for name, table in TABLES.items() for row in table.rows]
    assert len(rows) > 150 and set(rows) == set(ROWS)
    for place, made in ROWS.items():
        assert bool(made.recipe) != bool(made.reason), place
        assert not made.recipe or made.recipe in ALL_RECIPES, place
    page = recipe_page()
    for name, table in TABLES.items():
        assert not table.rows or f"### {table.title}" in page, name
    strangers = [row for (_, row), made in ROWS.items() if made.reason]
    assert not [
        row for row in strangers if row.startswith(("SimpleClick", "MFP", "CrossCut", "RS-IS", "RefCut", "BiCoR"))
    ]


@pytest.mark.parametrize(
    "table", ["crosscut-2", "crosscut-4", "isrefiner-6", "isrefiner-7", "isrefiner-8", "bicor-4", "bicor-5"]
)
def test_rows_of_an_ablation_are_made_differently(table):
    made = [ROWS[table, row] for row in TABLES[table].rows]
    assert len(set(made)) == len(made) and all(one.recipe for one in made)
