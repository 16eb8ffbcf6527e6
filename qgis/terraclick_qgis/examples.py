# SPDX-License-Identifier: GPL-2.0-or-later
"""Examples: the picture of an object and its mask, drawn from the layer."""

import math

from qgis.core import QgsRectangle
from qgis.PyQt.QtCore import QPointF, Qt
from qgis.PyQt.QtGui import QColor, QImage, QPainter, QPainterPath

from .results import polygons_of
from .sources import ground_resolution, png_of, render

LONGEST = 1024
SMALLEST = 64
ROOM = 1.6


def example_pictures(layer, geometry, metres, done):
    """Draw an object with some room around it, done(picture, mask) as PNGs or (None, None); gives the job to hold.

    geometry is in the layer's system, metres the ground resolution.
    """
    box = geometry.boundingBox()
    resolution = ground_resolution(layer, box.center(), metres)
    longest = max(box.width(), box.height()) * ROOM
    side = min(LONGEST, max(SMALLEST, math.ceil(longest / resolution)))
    reach = max(longest, SMALLEST * resolution) / 2
    middle = box.center()
    extent = QgsRectangle(middle.x() - reach, middle.y() - reach, middle.x() + reach, middle.y() + reach)

    def drawn(picture):
        done(picture, None if picture is None else mask_of(geometry, extent, side))

    return render(layer, extent, (side, side), drawn)


def mask_of(geometry, extent, side):
    """A PNG that is white where the geometry is."""
    image = QImage(side, side, QImage.Format.Format_Grayscale8)
    image.fill(QColor(0, 0, 0))
    scale = side / extent.width()
    path = QPainterPath()
    path.setFillRule(Qt.FillRule.OddEvenFill)
    for part in polygons_of(geometry):
        for ring in part:
            points = [QPointF((x - extent.xMinimum()) * scale, (extent.yMaximum() - y) * scale) for x, y in ring]
            path.moveTo(points[0])
            for point in points[1:]:
                path.lineTo(point)
            path.closeSubpath()
    painter = QPainter(image)
    painter.fillPath(path, QColor(255, 255, 255))
    painter.end()
    return png_of(image)
