"""WMS and WMTS of one raster by QGIS Server, on a free port of this machine: map_service.py RASTER LOG.

Prints the address; every request is a line of LOG.
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from qgis.core import QgsApplication, QgsProject, QgsRasterLayer
from qgis.server import QgsBufferServerRequest, QgsBufferServerResponse, QgsServer


def project_of(raster):
    """A project that offers a raster as "image"."""
    project = QgsProject.instance()
    layer = QgsRasterLayer(raster, "image")
    assert layer.isValid(), raster
    layer.setShortName("image")
    project.addMapLayer(layer)
    project.setCrs(layer.crs())
    project.writeEntry("WMSCrsList", "/", ["EPSG:3857", layer.crs().authid()])
    for kind in ("WMTSLayers", "WMTSPngLayers"):
        project.writeEntry(kind, "/Layer", [layer.id()])
    return project


def main():
    """Serve until the end."""
    raster, log = sys.argv[1:3]
    application = QgsApplication([], False)
    application.initQgis()
    server, project = QgsServer(), project_of(raster)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            with open(log, "a", encoding="utf-8") as file:
                file.write(self.path + "\n")
            answer = QgsBufferServerResponse()
            server.handleRequest(QgsBufferServerRequest(f"http://{self.headers['Host']}{self.path}"), answer, project)
            self.send_response(answer.statusCode())
            for name, value in answer.headers().items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(bytes(answer.body()))

        def log_message(self, *words):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as service:
        print(f"http://127.0.0.1:{service.server_port}/", flush=True)
        service.serve_forever()


if __name__ == "__main__":
    main()
