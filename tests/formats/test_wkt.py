"""Well-known text: an outline a line."""

from shapely import from_wkt
from shapely.geometry import box

from terraclick.app.files import formats
from terraclick.exchange.export import export
from terraclick.store.fields import MapObject


def test_an_outline_is_a_line(tmp_path):
    path = export([MapObject(geometry=box(0, 0, 1, 1))], tmp_path / "a.wkt")
    assert from_wkt(path.read_text()).equals(box(0, 0, 1, 1))
    assert "wkt" in [known["name"] for known in formats()]
