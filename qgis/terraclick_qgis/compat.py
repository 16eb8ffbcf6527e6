# SPDX-License-Identifier: GPL-2.0-or-later
"""What differs between QGIS 3.22 on Qt 5 and QGIS 4 on Qt 6."""

from qgis.core import Qgis, QgsTask
from qgis.PyQt.QtCore import QMetaType, QVariant

try:
    from qgis.PyQt.QtGui import QAction
except ImportError:
    from qgis.PyQt.QtWidgets import QAction

__all__ = ["DOUBLE", "INTEGER", "STRING", "TASK_FLAGS", "QAction", "level"]

if Qgis.QGIS_VERSION_INT >= 33800:
    STRING, DOUBLE, INTEGER = QMetaType.Type.QString, QMetaType.Type.Double, QMetaType.Type.Int
else:
    STRING, DOUBLE, INTEGER = QVariant.String, QVariant.Double, QVariant.Int

TASK_FLAGS = QgsTask.CanCancel
if Qgis.QGIS_VERSION_INT >= 32600:
    TASK_FLAGS = QgsTask.CanCancel | QgsTask.Hidden | QgsTask.Silent


def level(name):
    """A level of the message bar by name: Info, Warning, Critical or Success."""
    kinds = getattr(Qgis, "MessageLevel", Qgis)
    return getattr(kinds, name)
