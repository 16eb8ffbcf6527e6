# SPDX-License-Identifier: GPL-2.0-or-later
"""What differs between QGIS 3.22 on Qt 5 and QGIS 4 on Qt 6."""

from qgis.core import Qgis, QgsProject, QgsSnappingConfig, QgsTolerance
from qgis.PyQt.QtCore import QMetaType, QVariant

try:
    from qgis.PyQt.QtGui import QAction
except ImportError:
    from qgis.PyQt.QtWidgets import QAction

__all__ = [
    "AVOIDING",
    "DOUBLE",
    "INTEGER",
    "IN_LAYER_UNITS",
    "IN_PIXELS",
    "SNAPPING",
    "STRING",
    "QAction",
    "level",
]

if Qgis.QGIS_VERSION_INT >= 33800:
    STRING, DOUBLE, INTEGER = QMetaType.Type.QString, QMetaType.Type.Double, QMetaType.Type.Int
else:
    STRING, DOUBLE, INTEGER = QVariant.String, QVariant.Double, QVariant.Int

AVOIDING = getattr(Qgis, "AvoidIntersectionsMode", None) or QgsProject.AvoidIntersectionsMode
SNAPPING = getattr(Qgis, "SnappingMode", None) or QgsSnappingConfig.SnappingMode
_UNITS = getattr(Qgis, "MapToolUnit", None) or QgsTolerance.UnitType
IN_PIXELS = _UNITS.Pixels
IN_LAYER_UNITS = _UNITS.LayerUnits if hasattr(_UNITS, "LayerUnits") else _UNITS.Layer


def level(name):
    """A level of the message bar by name: Info, Warning, Critical or Success."""
    kinds = getattr(Qgis, "MessageLevel", Qgis)
    return getattr(kinds, name)
