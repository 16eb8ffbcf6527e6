"""What the model sees: bands and stretch as displayed, online layers, places on the earth."""

import hashlib
import os

from person import new_target
from qgis.core import (
    QgsApplication,
    QgsContrastEnhancement,
    QgsMapRendererSequentialJob,
    QgsMapSettings,
    QgsMultiBandColorRenderer,
    QgsNetworkAccessManager,
    QgsNetworkRequestParameters,
    QgsRasterLayer,
    QgsRasterMinMaxOrigin,
    QgsSettings,
    QgsSingleBandGrayRenderer,
)
from qgis.PyQt.QtCore import QSize, Qt
from qgis.PyQt.QtWidgets import QCheckBox


def draw(layer, path):
    """A layer as QGIS displays it, pixel for pixel, as a picture."""
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(layer.crs())
    settings.setExtent(layer.extent())
    settings.setOutputSize(QSize(layer.width(), layer.height()))
    job = QgsMapRendererSequentialJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(path)


def styled(layer, style):
    """Give a layer a style: bands, or one band, with limits, and more."""
    provider, kind = layer.dataProvider(), QgsContrastEnhancement.ContrastEnhancementAlgorithm
    bands = style["bands"]
    if len(bands) == 1:
        renderer = QgsSingleBandGrayRenderer(provider, bands[0])
    else:
        renderer = QgsMultiBandColorRenderer(provider, *bands)
    if style.get("limits"):
        for index, (low, high) in enumerate(style["limits"]):
            item = QgsContrastEnhancement(provider.dataType(bands[index]))
            item.setContrastEnhancementAlgorithm(getattr(kind, style.get("how", "StretchToMinimumMaximum")))
            item.setMinimumValue(low)
            item.setMaximumValue(high)
            if len(bands) == 1:
                renderer.setContrastEnhancement(item)
            else:
                (
                    renderer.setRedContrastEnhancement,
                    renderer.setGreenContrastEnhancement,
                    renderer.setBlueContrastEnhancement,
                )[index](item)
    layer.setRenderer(renderer)
    layer.renderer().setMinMaxOrigin(QgsRasterMinMaxOrigin())
    layer.brightnessFilter().setBrightness(style.get("brightness", 0))


def displayed(person, image, styles, place):
    """Click with "Bands and stretch as displayed" on one image in several styles; its displayed pixels as pictures."""
    layer = person.open(image, "EPSG:3857")
    person.connected()
    person.plugin.dock.findChild(QCheckBox, "use_renderer").setChecked(True)
    assert QgsSettings().value("terraclick/use_renderer", type=bool)
    target, _ = new_target(person)
    point = person.to_canvas(*place, layer.crs())
    found = []
    for index, style in enumerate(styles):
        styled(layer, style)
        person.look_at(point, 60)
        person.click(point)
        picture = os.path.join(person.folder, f"{index}.png")
        draw(layer, picture)
        control = person.control
        asked = control.outline.options
        seen = {"kind": control.source.key[0], "transform": control.source.transform, "picture": picture}
        found.append({**seen, "bands": asked.get("bands"), "stretch": asked.get("stretch")})
        person.key(Qt.Key.Key_Return)
        person.answered()
    windows = os.path.join(QgsApplication.qgisSettingsDirPath(), "terraclick", "terraclick-windows")
    found[-1]["windows"] = windows
    return {"styles": found, "objects": person.objects(target), "said": person.said}


def online(person, uri, project_crs, visits, by_mouse=False):
    """Outline things of an online layer: visits are (x, y in the layer's system, metres across the screen, cut).

    Nothing that was fetched before is used again; what is asked of the service is counted. A cut replaces the length at
    whose multiples windows begin and the side of a window, in pixels. With `by_mouse` the button is pressed on the
    screen, else that very place is clicked on a canvas that is turned by another angle each time. `pixels` names what
    the model saw by its content.
    """
    from terraclick_qgis import sources

    manager = QgsNetworkAccessManager.instance()
    asked, seen = [], []
    manager.requestAboutToBeCreated[QgsNetworkRequestParameters].connect(
        lambda request: asked.append(request.request().url().toString())
    )
    layer = QgsRasterLayer(uri, "online", "wms")
    assert layer.isValid(), layer.error().message()
    person.show(layer, project_crs)
    person.connected()
    target, _ = new_target(person)
    control, windows, counts = person.control, [], []
    add_pixels = type(control.client).add_pixels

    def watched(client, png, *words):
        seen.append(hashlib.sha256(png).hexdigest())
        return add_pixels(client, png, *words)

    type(control.client).add_pixels = watched
    own = sources.STEP, sources.WINDOW
    for index, (x, y, metres, cut) in enumerate(visits):
        sources.STEP, sources.WINDOW = cut or own
        point = person.to_canvas(x, y, layer.crs())
        person.look_at(point, metres)
        person.wait(lambda: not person.canvas.isDrawing(), 60, "the map is not drawn")
        control.sources.clear()
        manager.cache().clear()
        layer.reload()
        before = len(asked)
        if by_mouse:
            person.click(point)
        else:
            person.canvas.setRotation(20 * index)
            control.click(point, True)
            person.answered()
        windows.append(list(control.source.transform))
        person.key(Qt.Key.Key_Return)
        person.answered()
        counts.append(len(asked) - before)
        assert len(seen) == index + 1, "what was drawn is sent once, and nothing drawn before is used again"
    found = {"objects": person.objects(target), "said": person.said, "windows": windows, "requests": counts}
    return found | {"pixels": seen}
