"""Record what SegMap's published QGIS plug-in says to a TerraClick server, and what that answers.

    /usr/bin/python3 dev/record_segmap.py PLUGIN IMAGE ADDRESS TOKEN OUT

Run it with the Python of QGIS. PLUGIN is the folder `segmap` of TitorX/SegMap-QGIS (`iscontroller.py` and
`helper_func.py` are used as they are); ADDRESS and TOKEN are those of `terraclick serve IMAGE`. The plug-in's
controller clicks on a small canvas; every request and its answer goes into the file OUT, the token left out, each
picture once.
"""

import base64
import json
import os
import sys
import types
import zlib

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFeature,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
)
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QVariant

HOUSE = (500065.85, 4649747.1)
"""A house of the packaged town, in the coordinates of the file."""
SIZE = 160, 120
"""Width and height of the canvas."""
METRES = 48.0
"""Width of the canvas on the ground."""


class Recorder:
    """Stands for the module `requests` of the plug-in: asks as it does, and keeps what was said."""

    def __init__(self, requests):
        self.requests = requests
        self.exceptions = requests.exceptions
        self.exchanges = []
        self.pictures = {}

    def get(self, address, headers):
        """As requests.get."""
        return self._kept("GET", address, headers, None, self.requests.get(address, headers=headers, timeout=120))

    def post(self, address, json, headers):
        """As requests.post."""
        answer = self.requests.post(address, json=json, headers=headers, timeout=120)
        return self._kept("POST", address, headers, json, answer)

    def _kept(self, method, address, headers, body, answer):
        if body is not None:
            data = base64.b64decode(body["image"])
            name = f"picture {len(self.pictures) + 1}"
            name = next((known for known, kept in self.pictures.items() if kept == data), name)
            self.pictures[name] = data
            body = body | {"image": name}
        said = {**headers, "Authorization": "Bearer TOKEN"}
        path = "/" + address.split("/", 3)[3]
        request = {"method": method, "path": path, "headers": said, "body": body}
        self.exchanges.append({"request": request, "status": answer.status_code, "answer": answer.json()})
        return answer

    def written(self, source):
        """Everything as JSON, one exchange a line; pictures are base64 of compressed bytes."""
        pictures = {name: base64.b64encode(zlib.compress(data, 9)).decode() for name, data in self.pictures.items()}
        lines = ",\n".join(json.dumps(exchange) for exchange in self.exchanges)
        head = f'{{"plug-in": {json.dumps(source)},\n"pictures": {json.dumps(pictures)},\n'
        return f'{head}"exchanges": [\n{lines}\n]}}\n'


def controller_of(folder, canvas, recorder, address, token):
    """The plug-in's own controller on a canvas."""
    import qgis.utils

    qgis.utils.iface = types.SimpleNamespace(mapCanvas=lambda: canvas)
    sys.path.insert(0, folder)
    import iscontroller

    iscontroller.requests = recorder
    iscontroller.QMetaType = types.SimpleNamespace(Type=QVariant)  # it names field types as QGIS 3.38 does
    return iscontroller.ISController(address, token), iscontroller.ISController


def main():
    """Click, correct, undo, move the map, refine an earlier mask, and make every mistake the plug-in can make."""
    folder, image, address, token, out = sys.argv[1:6]
    application = QgsApplication([], True)
    application.initQgis()
    import requests

    layer = QgsRasterLayer(image, "image")
    project = QgsProject.instance()
    project.addMapLayer(layer)
    canvas = QgsMapCanvas()
    canvas.resize(*SIZE)
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    to_canvas = QgsCoordinateTransform(layer.crs(), canvas.mapSettings().destinationCrs(), project)
    house = to_canvas.transform(QgsPointXY(*HOUSE))
    recorder = Recorder(requests)

    def look(x, y):
        wide, tall = METRES / 2, METRES / 2 * SIZE[1] / SIZE[0]
        canvas.setExtent(QgsRectangle(x - wide, y - tall, x + wide, y + tall))

    def clicked(right, up, positive):
        feature = QgsFeature()
        feature.setGeometry(QgsGeometry.fromPointXY(QgsPointXY(house.x() + right, house.y() + up)))
        feature.setAttributes([positive])
        return feature

    def tried(act):
        try:
            act()
        except requests.HTTPError:  # the plug-in shows it in the message bar
            pass

    look(house.x(), house.y())
    control, make = controller_of(folder, canvas, recorder, address, token)
    models = control.get_models()
    model = (models["models"] if isinstance(models, dict) else models)[0]["id"]
    control.segment(model, layer, clicked(0, 0, 1))
    control.segment(model, layer, clicked(3.1, 1.7, 1))
    control.segment(model, layer, clicked(15, 9, 0))
    control.undo()
    control.segment(model, layer, clicked(-14, -9.5, 0))
    mask = control._segm_layer_to_geojson()  # what the plug-in makes of its layer, though it sends [] for now
    body = recorder.exchanges[-1]["request"]["body"]
    body = body | {"image": base64.b64encode(recorder.pictures[body["image"]]).decode(), "previous_mask": mask}
    recorder.post(f"{address}/v1/segment", body, control._headers())
    look(house.x() + 12, house.y() - 4)  # the second excluding click is not on the canvas any more
    control.segment(model, layer, None)
    fresh = make(address, token)
    tried(lambda: fresh.segment(model, layer, clicked(0, 0, 0)))  # a right click first
    tried(lambda: fresh.segment("CFR-ICL", layer, clicked(0, 0, 1)))  # chosen on another server
    stranger = make(address, "wrong")
    tried(stranger.get_models)
    tried(lambda: stranger.segment(model, layer, clicked(0, 0, 1)))
    look(house.x() + 900, house.y())  # every click is off the canvas
    tried(lambda: fresh.segment(model, layer, None))
    with open(out, "w", encoding="utf-8") as file:
        file.write(recorder.written("TitorX/SegMap-QGIS, segmap/iscontroller.py of 3cdfcd9"))
    for exchange in recorder.exchanges:
        said = exchange["request"]["body"] or {}
        print(exchange["status"], exchange["request"]["path"], said.get("clicks"), str(exchange["answer"])[:200])
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
