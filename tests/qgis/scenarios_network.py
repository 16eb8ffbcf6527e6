"""The plug-in and the network: installing by its button, QGIS's proxy and certificates, servers elsewhere."""

import os

from person import new_target
from qgis.core import QgsApplication, QgsNetworkAccessManager, QgsSettings
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtNetwork import QSslCertificate
from qgis.PyQt.QtTest import QTest


def use_network(proxy, authority):
    """What a person sets in QGIS's options: (host, port, user, password) of a proxy, the file of an authority."""
    if proxy:
        for name, value in zip(("Host", "Port", "User", "Password"), proxy, strict=True):
            QgsSettings().setValue(f"proxy/proxy{name}", value)
        QgsSettings().setValue("proxy/proxyType", "HttpProxy")
        QgsSettings().setValue("proxy/proxyEnabled", True)
    if authority:
        manager = QgsApplication.authManager()
        assert manager.storeCertAuthority(QSslCertificate.fromPath(authority)[0])
        manager.rebuildCaCertsCache()
        manager.rebuildTrustedCaCertsCache()
    QgsNetworkAccessManager.instance().setupDefaultProxyAndCache()


def install(person, image, place, wheels, proxy=None, authority=None):
    """Press Install; when it is done, click on the image: the server comes from the new environment."""
    use_network(proxy, authority)
    settings = QgsSettings()
    settings.setValue("terraclick/executable", "")
    settings.setValue("terraclick/wheels", wheels)
    person.plugin.open()
    dock = person.plugin.dock
    lines, ended = [], []
    dock.installer.progress.connect(lines.append)
    dock.installer.finished.connect(ended.append)
    QTest.mouseClick(dock.install, Qt.MouseButton.LeftButton)
    assert dock.install.text() == "Cancel" and dock.bar.isVisibleTo(dock)
    person.wait(lambda: ended, 400, "the installation did not end")
    found = {"error": ended[0], "lines": lines[-3:], "count": len(lines)}
    if not ended[0]:
        layer = person.open(image, "EPSG:3857")
        person.connected()
        found["program"] = person.control.server.process.program()
        target, _ = new_target(person)
        point = person.to_canvas(*place, layer.crs())
        person.look_at(point)
        person.click(point)
        person.key(Qt.Key.Key_Return)
        person.answered()
        found["objects"] = person.objects(target)
    bundle = os.path.join(QgsApplication.qgisSettingsDirPath(), "terraclick", "certificates.pem")
    found["certificates"] = os.path.exists(bundle)
    found["said"] = person.said
    return found


def cancelled(person, wheels):
    """Press Install, then Cancel."""
    QgsSettings().setValue("terraclick/executable", "")
    QgsSettings().setValue("terraclick/wheels", wheels)
    person.plugin.open()
    dock = person.plugin.dock
    QTest.mouseClick(dock.install, Qt.MouseButton.LeftButton)
    person.wait(lambda: dock.installer.running, 20, "nothing was started")
    person.rest(0.5)
    QTest.mouseClick(dock.install, Qt.MouseButton.LeftButton)
    person.rest(0.2)
    return {"said": person.said, "running": dock.installer.running, "button": dock.install.text()}


def given_to_pip(person, cases):
    """What pip is given for settings of QGIS; each case is name → value."""
    from terraclick_qgis.client import Failure
    from terraclick_qgis.network import pip_environment

    found = []
    for case in cases:
        for name, value in case.items():
            QgsSettings().setValue(f"proxy/{name}", value)
        QgsNetworkAccessManager.instance().setupDefaultProxyAndCache()
        try:
            got = pip_environment({})
            for certificates in ("PIP_CERT", "REQUESTS_CA_BUNDLE"):
                got.pop(certificates, None)
        except Failure as error:
            got = str(error)
        found.append(got)
    return {"found": found}


def far(person, image, place, address, token, proxy, authority):
    """A server elsewhere behind TLS, asked through QGIS's proxy with QGIS's certificates."""
    use_network(proxy, authority)
    layer = person.open(image, "EPSG:3857")
    person.plugin.dock.address.setText(address)
    person.plugin.dock.token.setText(token)
    person.plugin.dock._connect()
    person.wait(lambda: not person.control.connecting, 60, "no answer from the server")
    if person.control.client is None:
        return {"said": person.said, "objects": []}
    target, _ = new_target(person)
    point = person.to_canvas(*place, layer.crs())
    person.look_at(point)
    person.click(point)
    person.click(person.to_canvas(place[0] + 15, place[1] + 15, layer.crs()), False)
    person.control.set_shape(1.0, False)
    person.answered()
    person.key(Qt.Key.Key_Return)
    person.answered()
    return {"said": person.said, "objects": person.objects(target)}
