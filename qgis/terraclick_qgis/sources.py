# SPDX-License-Identifier: GPL-2.0-or-later
"""What the model sees of a layer: the file itself where the server can open it, else a window rendered at a fixed
ground resolution. The zoom of the screen never matters."""

import hashlib
import math
import os

from qgis.core import (
    Qgis,
    QgsContrastEnhancement,
    QgsCoordinateTransform,
    QgsHueSaturationFilter,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsPointXY,
    QgsProject,
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsReadWriteContext,
    QgsRectangle,
    QgsSingleBandGrayRenderer,
    QgsUnitTypes,
)
from qgis.PyQt.QtCore import QBuffer, QIODevice, QSize
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtXml import QDomDocument

from .client import Failure, apply_transform, invert_transform, map_coordinates
from .i18n import tr

WINDOW = 1024
"""Pixels a side of a rendered window."""
STEP = 512
"""Windows begin at multiples of so many pixels, so that neighbouring clicks share one. It is a multiple of a tile's
side: QGIS moves tiles by part of a pixel where a window begins within one."""
MERCATOR = 2 * math.pi * 6378137.0
METRES_PER_DEGREE = MERCATOR / 360


class Source:
    """An image of the server and where it lies: transform is pixel → coordinates of the layer's system, `crs`."""

    def __init__(self, layer, image, transform, key):
        self.layer_id = layer.id()
        self.layer_name = layer.name()
        self.crs = layer.crs()
        self.image = image["id"]
        self.width = image["width"]
        self.height = image["height"]
        self.transform = list(transform)
        self.inverse = invert_transform(transform)
        self.key = key

    def pixel(self, point):
        """(x, y) in pixels of a point in the layer's system."""
        return apply_transform(self.inverse, point.x(), point.y())

    def click_at(self, point):
        """(x, y) of a click there, to a hundredth of a pixel and on no border, so that everybody takes one pixel."""
        return tuple(_within(value) for value in self.pixel(point))

    def point(self, x, y):
        """A pixel's point in the layer's system."""
        return QgsPointXY(*apply_transform(self.transform, x, y))

    def holds(self, point):
        """Whether a point lies on the image."""
        x, y = self.pixel(point)
        return 0 <= x < self.width and 0 <= y < self.height

    def polygons(self, outline):
        """An outline of the server as polygons (lists of rings of (x, y)) in the layer's system."""
        if outline is None or outline.get("empty"):
            return []
        return map_coordinates(outline["geometry"], self.transform)


def _within(value):
    value = round(value, 3)  # a place on a border of pixels falls to the same one, whatever the window begins with
    whole = math.floor(value)
    return whole + min(max(round(value - whole, 2), 0.02), 0.98)


def transform_between(source, target):
    """The transform between two systems; none at all where one of them is unknown."""
    return QgsCoordinateTransform(source, target, QgsProject.instance())


def local_path(layer):
    """The file behind a raster layer that the server could open, or None."""
    if not isinstance(layer, QgsRasterLayer) or layer.providerType() != "gdal":
        return None
    parts = QgsProviderRegistry.instance().decodeUri("gdal", layer.source())
    path = parts.get("path", "")
    if not path or parts.get("layerName") or parts.get("vsiPrefix") or not os.path.isfile(path):
        return None
    return os.path.abspath(path)


def file_transform(layer, image):
    """Pixel → layer coordinates of a file: as the file says, or as QGIS places a file that says nothing."""
    transform = image["transform"]
    if image["crs"] is None and list(transform) == [1, 0, 0, 0, 1, 0]:
        box = layer.extent()  # QGIS counts y upwards
        return [
            box.width() / image["width"],
            0,
            box.xMinimum(),
            0,
            -box.height() / image["height"],
            box.yMaximum(),
        ]
    return transform


def renderer_bands(layer):
    """(bands, stretch) that give a layer's displayed pixels from its file, or None where only drawing it does."""
    renderer = layer.renderer()
    kind = renderer.type() if renderer is not None else ""
    if kind == "multibandcolor":
        bands = [renderer.redBand(), renderer.greenBand(), renderer.blueBand()]
        found = [
            renderer.redContrastEnhancement(),
            renderer.greenContrastEnhancement(),
            renderer.blueContrastEnhancement(),
        ]
    elif kind == "singlebandgray" and renderer.gradient() == QgsSingleBandGrayRenderer.Gradient.BlackToWhite:
        bands = [renderer.grayBand() if hasattr(renderer, "grayBand") else renderer.inputBand()]
        found = [renderer.contrastEnhancement()]
    else:
        return None
    limits = [_limits(layer, band, found[index]) for index, band in enumerate(bands)]
    if None in limits or _is_toned(layer):
        return None
    return bands, limits


def _limits(layer, band, enhancement):
    """The values of a band that are shown as 0 and 255, or None where the values in between are no straight line."""
    if band < 1:
        return None
    kinds = QgsContrastEnhancement.ContrastEnhancementAlgorithm
    how = kinds.NoEnhancement if enhancement is None else enhancement.contrastEnhancementAlgorithm()
    if how == kinds.NoEnhancement:
        return [0, 255] if layer.dataProvider().dataType(band) == Qgis.DataType.Byte else None
    low, high = enhancement.minimumValue(), enhancement.maximumValue()
    if how != kinds.StretchToMinimumMaximum or not (math.isfinite(low) and math.isfinite(high) and low < high):
        return None
    return [low, high]


def _is_toned(layer):
    """Whether brightness, colours or opacity of a layer are changed after its stretch."""
    light, hue = layer.brightnessFilter(), layer.hueSaturationFilter()
    changed = light is not None and (light.brightness() != 0 or light.contrast() != 0 or light.gamma() != 1.0)
    if hue is not None:
        changed = changed or hue.saturation() != 0 or hue.colorizeOn() or hue.invertColors()
        changed = changed or hue.grayscaleMode() != QgsHueSaturationFilter.GrayscaleMode.GrayscaleOff
    return changed or layer.renderer().opacity() < 1.0


def style_of(layer):
    """A word that changes when a layer is drawn in another way."""
    document = QDomDocument()
    root = document.createElement("style")
    layer.writeSymbology(root, document, "", QgsReadWriteContext())
    document.appendChild(root)
    return hashlib.sha256(document.toString(0).encode()).hexdigest()[:16]


def ground_resolution(layer, point, metres):
    """Layer units per pixel for so many metres on the ground at a point.

    In Web Mercator it is the resolution of the tiles of the nearest level, so that tiles are taken as they are.
    """
    crs = layer.crs()
    if crs.authid() == "EPSG:3857":
        latitude = 2 * math.atan(math.exp(point.y() / 6378137.0)) - math.pi / 2
        wanted = metres / max(0.05, math.cos(latitude))
        level = round(math.log2(MERCATOR / 256 / wanted))
        return MERCATOR / 256 / 2 ** min(max(level, 0), 24)
    if not crs.isValid():
        return metres
    if crs.isGeographic():
        return metres / METRES_PER_DEGREE
    return metres / QgsUnitTypes.fromUnitToUnitFactor(crs.mapUnits(), QgsUnitTypes.DistanceUnit.DistanceMeters)


def window_at(layer, point, metres):
    """(extent, (columns, rows), transform) of the window around a point in the layer's system.

    That of a file holds the file's own pixels and lies within it: QGIS shifts rows of windows that reach beyond.
    """
    if has_pixels(layer):
        return _window_of_file(layer, point)
    resolution = ground_resolution(layer, point, metres)
    step, side = STEP * resolution, WINDOW * resolution
    left = (math.floor(point.x() / step + 0.5) - 1) * step
    top = (math.floor(point.y() / step + 0.5) + 1) * step
    extent = QgsRectangle(left, top - side, left + side, top)
    return extent, (WINDOW, WINDOW), [resolution, 0, left, 0, -resolution, top]


def _window_of_file(layer, point):
    box = layer.extent()
    across, down = box.width() / layer.width(), box.height() / layer.height()
    columns, rows = min(WINDOW, layer.width()), min(WINDOW, layer.height())
    first_column = _start((point.x() - box.xMinimum()) / across, layer.width())
    first_row = _start((box.yMaximum() - point.y()) / down, layer.height())
    left, top = box.xMinimum() + first_column * across, box.yMaximum() - first_row * down
    extent = QgsRectangle(left, top - rows * down, left + columns * across, top)
    return extent, (columns, rows), [across, 0, left, 0, -down, top]


def _start(pixel, count):
    """Where the window around a pixel begins in a row of so many."""
    return max(0, min((math.floor(pixel / STEP + 0.5) - 1) * STEP, count - WINDOW))


def has_pixels(layer):
    """Whether a layer is a file with pixels of its own."""
    return layer.providerType() == "gdal" and layer.width() > 0 and layer.height() > 0


def native_resolution(layer, metres):
    """Metres per pixel of a file that must be sent as pixels; the setting where that is not known."""
    if not has_pixels(layer) or not layer.crs().isValid():
        return metres
    units = layer.extent().width() / layer.width()
    if layer.crs().isGeographic():
        return units * METRES_PER_DEGREE
    return units * QgsUnitTypes.fromUnitToUnitFactor(layer.crs().mapUnits(), QgsUnitTypes.DistanceUnit.DistanceMeters)


def render(layer, extent, size, done):
    """Draw a layer alone in (columns, rows) pixels, then done(png or None) on the main thread.

    Gives the job, which must be held until then.
    """
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(layer.crs())
    settings.setOutputSize(QSize(*size))
    settings.setOutputDpi(96)
    settings.setExtent(extent)
    settings.setBackgroundColor(QColor(0, 0, 0, 0))
    settings.setTransformContext(QgsProject.instance().transformContext())
    job = QgsMapRendererParallelJob(settings)

    def finished():
        done(png_of(job.renderedImage()) if not job.errors() else None)

    job.finished.connect(finished)
    job.start()
    return job


def png_of(image):
    """The bytes of a QImage as PNG."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")
    return bytes(buffer.data())


def check_layer(layer):
    """Raise Failure where a layer cannot be clicked on."""
    if layer is None:
        raise Failure(tr("Choose an image layer in the TerraClick panel first."))
    if not isinstance(layer, QgsRasterLayer) or not layer.isValid():
        raise Failure(tr("The layer {} shows no image: choose a raster layer.").format(layer.name()))
