"""How QGIS draws a session: a style with a colour for every class, kept in the GeoPackage where QGIS looks for it."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import quoteattr

from terraclick.geo.colours import rgb_of

__all__ = ["MARK", "layer_style"]

MARK = "<!-- the class list of a TerraClick session -->"
"""Stands in styles that we wrote; one that somebody saved in QGIS does not hold it and is left alone."""

_SYMBOL = """<symbol type="fill" name="{number}" alpha="1" clip_to_extent="1" force_rhr="0">
<layer class="SimpleFill" enabled="1" locked="0" pass="0">
<prop k="color" v="{rgb},77"/><prop k="outline_color" v="{rgb},255"/><prop k="outline_style" v="solid"/>
<prop k="outline_width" v="0.5"/><prop k="outline_width_unit" v="MM"/><prop k="style" v="solid"/>
</layer></symbol>"""

OTHERS = (90, 90, 90)


def layer_style(classes: Sequence[tuple[str, str | None, int]]) -> str:
    """The QML text for classes given as (name, colour, number); objects of other classes are grey."""
    kinds = [(name, rgb_of(colour, number)) for name, colour, number in classes]
    categories = [
        f'<category value={quoteattr(name)} label={quoteattr(name)} symbol="{place}" render="true" type="string"/>'
        for place, (name, _) in enumerate(kinds)
    ]
    categories.append(f'<category value="" label="other" symbol="{len(kinds)}" render="true" type="string"/>')
    symbols = [
        _SYMBOL.format(number=place, rgb=",".join(map(str, rgb)))
        for place, rgb in enumerate([*(rgb for _, rgb in kinds), OTHERS])
    ]
    return "\n".join(
        [
            "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>",
            MARK,
            '<qgis version="3.22.0" styleCategories="Symbology">',
            '<renderer-v2 type="categorizedSymbol" attr="class" enableorderby="0" forceraster="0" symbollevels="0">',
            "<categories>",
            *categories,
            "</categories>",
            "<symbols>",
            *symbols,
            "</symbols>",
            "</renderer-v2>",
            "</qgis>",
        ]
    )
