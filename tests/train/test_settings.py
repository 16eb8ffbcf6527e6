"""Settings of a recipe changed by text."""

import pytest

torch = pytest.importorskip("torch", reason="needs the extra terraclick[torch]")

from terraclick.errors import BadConfig  # noqa: E402
from terraclick.train.config import RECIPES  # noqa: E402
from terraclick.train.recipe_table import ALL_RECIPES  # noqa: E402
from terraclick.train.settings import with_settings  # noqa: E402


def test_settings_of_every_kind_and_depth():
    recipe = ALL_RECIPES["crosscut-b"]()
    words = ["rate=1e-4", "batch=2", "episodes.scale=[0.5, 2]", "config.base.vit.depth=6", "first=one", "clip=1.5"]
    changed = with_settings(recipe, [*words, "episodes.augment=false", 'shares=[["isaid", 1]]'])
    assert (changed.rate, changed.batch, changed.first, changed.clip) == (1e-4, 2, "one", 1.5)
    assert changed.episodes.scale == (0.5, 2) and not changed.episodes.augment
    assert changed.config.base.vit.depth == 6 and changed.shares == (("isaid", 1),)
    assert changed.sources == () and recipe.sources, "a table does not speak of a changed recipe"
    assert with_settings(recipe, []) is recipe
    assert with_settings(ALL_RECIPES["land-cover"](), ["epochs=2"]).epochs == 2
    name = next(iter(RECIPES))
    assert with_settings(RECIPES[name](), ["batch=4"]).batch == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rate", "give a setting and a value"),
        ("speed=1", "has no 'speed'; it has"),
        ("rate=fast", "a value of the same kind"),
        ("batch=1.5", "a value of the same kind"),
        ("episodes=1", "has settings of its own"),
        ("rate.x=1", "has nothing below it"),
        ("first=centre", "choose random or one"),
        ("name=x", "has no 'name'"),
    ],
)
def test_what_does_not_fit_is_one_sentence(text, said):
    with pytest.raises(BadConfig, match=said):
        with_settings(ALL_RECIPES["crosscut-b"](), [text])
