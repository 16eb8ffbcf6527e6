# SPDX-License-Identifier: GPL-2.0-or-later
"""Polygons among their neighbours: snapped, without overlaps, with shared vertices, as the project's toolbar says."""

import math

from qgis.analysis import QgsGeometrySnapper
from qgis.core import (
    QgsFeatureRequest,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsVectorLayer,
    QgsWkbTypes,
)

from .client import Failure
from .compat import AVOIDING, IN_LAYER_UNITS, IN_PIXELS, SNAPPING
from .i18n import tr
from .sources import transform_between

MOST_PIXELS = 3.0
"""Outlines are snapped by at most so many pixels of their image, however far out the map is zoomed."""


def fitted(layer, geometry, pixel, units_per_pixel, fid=None):
    """A polygon in a layer's system as it may stand beside the other objects.

    pixel is the side of a pixel of its image in the layer's units, units_per_pixel the scale of the canvas in the
    project's units, fid the object that gets this outline. Raises Failure where nothing is left of it.
    """
    reach = min(_tolerance(layer, geometry, units_per_pixel), MOST_PIXELS * pixel)
    if reach > 0:
        near = neighbours(layer, geometry.boundingBox().buffered(reach), fid)
        if near:
            mode = QgsGeometrySnapper.SnapMode.PreferNodes
            geometry = _areas(QgsGeometrySnapper.snapGeometry(geometry, reach, near, mode))
    for other in _without_overlap(layer):
        to_layer = transform_between(other.crs(), layer.crs())
        box = transform_between(layer.crs(), other.crs()).transformBoundingBox(geometry.boundingBox())
        for shape in neighbours(other, box, fid if other is layer else None):
            shape.transform(to_layer)
            if shape.type() == QgsWkbTypes.GeometryType.PolygonGeometry and geometry.intersects(shape):
                geometry = _areas(geometry.difference(shape))
    if geometry.isEmpty():
        raise Failure(
            tr("The outline lies within other objects, and this project avoids overlaps: nothing of it is left.")
        )
    return geometry


def share_vertices(layer, geometry):
    """Give the neighbours of a polygon its vertices on their borders, where the project edits topologically."""
    if QgsProject.instance().topologicalEditing():
        layer.addTopologicalPoints(geometry)


def neighbours(layer, box, fid=None):
    """The valid geometries of a layer that touch a box, but that of one object."""
    found = layer.getFeatures(QgsFeatureRequest().setFilterRect(box))
    return [
        QgsGeometry(feature.geometry())
        for feature in found
        if feature.id() != fid and feature.hasGeometry() and feature.geometry().isGeosValid()
    ]


def _without_overlap(layer):
    """The layers whose objects new ones must not overlap."""
    project = QgsProject.instance()
    mode = project.avoidIntersectionsMode()
    if mode == AVOIDING.AvoidIntersectionsCurrentLayer:
        return [layer]
    if mode == AVOIDING.AvoidIntersectionsLayers:
        return [other for other in project.avoidIntersectionsLayers() if isinstance(other, QgsVectorLayer)]
    return []


def _areas(geometry):
    """The valid polygons of a geometry, without the lines and points that an operation left."""
    if not geometry.isGeosValid():
        geometry = geometry.makeValid()
    parts = [
        part
        for part in geometry.asGeometryCollection()
        if part.type() == QgsWkbTypes.GeometryType.PolygonGeometry and part.area() > 0
    ]
    return QgsGeometry.unaryUnion(parts) if parts else QgsGeometry()


def _tolerance(layer, geometry, units_per_pixel):
    """How far the project snaps, in the layer's units; 0 where it does not."""
    project = QgsProject.instance()
    config = project.snappingConfig()
    if not config.enabled():
        return 0.0
    told = config
    if config.mode() == SNAPPING.AdvancedConfiguration:
        told = config.individualLayerSettings(layer)
        if not told.enabled():
            return 0.0
    if told.units() == IN_LAYER_UNITS:
        return told.tolerance()
    distance = told.tolerance()
    if told.units() == IN_PIXELS:
        distance *= units_per_pixel
    middle = geometry.boundingBox().center()
    if not (project.crs().isValid() and layer.crs().isValid()):
        return distance
    there = transform_between(layer.crs(), project.crs()).transform(middle)
    back = transform_between(project.crs(), layer.crs()).transform(QgsPointXY(there.x() + distance, there.y()))
    return math.hypot(back.x() - middle.x(), back.y() - middle.y())
