# SPDX-License-Identifier: GPL-2.0-or-later
"""TerraClick in QGIS: click on a thing in an image, get its outline as a polygon."""


def classFactory(iface):  # QGIS asks for it by this name
    """The plug-in for a running QGIS."""
    from .plugin import TerraClickPlugin

    return TerraClickPlugin(iface)
