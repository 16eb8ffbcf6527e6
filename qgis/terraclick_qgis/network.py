# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests through QGIS's own network access, with its proxies, certificates and logins; and what pip needs of them."""

import os

from qgis.core import QgsApplication, QgsBlockingNetworkRequest, QgsNetworkAccessManager, QgsSettings
from qgis.PyQt.QtCore import QByteArray, QEventLoop, QUrl
from qgis.PyQt.QtNetwork import QNetworkRequest

from .client import Unreachable, direct, is_local


def through_qgis(method, url, headers, body, timeout):
    """A transport for servers elsewhere; callable in any thread. Raises Unreachable."""
    request = QNetworkRequest(QUrl(url))
    if hasattr(request, "setTransferTimeout"):
        request.setTransferTimeout(int(timeout * 1000))
    for name, value in headers.items():
        request.setRawHeader(name.encode(), value.encode())
    if method == "PATCH":
        return _custom(method, request, body)
    blocking = QgsBlockingNetworkRequest()
    if method == "GET":
        blocking.get(request, True)
    elif method == "DELETE":
        blocking.deleteResource(request)
    else:
        blocking.post(request, QByteArray(body or b""))
    reply = blocking.reply()
    return _answer(request, reply, blocking.errorMessage(), reply.content())


def _custom(method, request, body):
    """A verb that QgsBlockingNetworkRequest does not have."""
    reply = QgsNetworkAccessManager.instance().sendCustomRequest(request, method.encode(), QByteArray(body or b""))
    loop = QEventLoop()
    reply.finished.connect(loop.quit)
    if not reply.isFinished():
        loop.exec()
    return _answer(request, reply, reply.errorString(), reply.readAll())


def _answer(request, reply, message, content):
    status = reply.attribute(QNetworkRequest.Attribute.HttpStatusCodeAttribute)
    if status is None:
        place = request.url().authority()
        raise Unreachable(f"No TerraClick server answers at {place} ({message or 'no answer'}).")
    return int(status), bytes(content)


def transport_for(base):
    """The transport for an address."""
    return direct if is_local(base) else through_qgis


def pip_options(parent=None):
    """Options for pip of QGIS's proxy and certificates."""
    settings = QgsSettings()
    options = []
    if settings.value("proxy/proxyEnabled", False, type=bool):
        host = str(settings.value("proxy/proxyHost", ""))
        port = str(settings.value("proxy/proxyPort", ""))
        user = str(settings.value("proxy/proxyUser", ""))
        word = str(settings.value("proxy/proxyPassword", ""))
        if host:
            login = ""
            if user:
                quoted = [bytes(QUrl.toPercentEncoding(part)).decode() for part in (user, word)]
                login = f"{quoted[0]}:{quoted[1]}@"
            options += ["--proxy", f"http://{login}{host}" + (f":{port}" if port else "")]
    bundle = os.path.join(QgsApplication.qgisSettingsDirPath(), "terraclick", "certificates.pem")
    try:
        pem = bytes(QgsApplication.authManager().trustedCaCertsPemText())
    except (AttributeError, RuntimeError):
        pem = b""
    if pem:
        os.makedirs(os.path.dirname(bundle), exist_ok=True)
        with open(bundle, "wb") as file:
            file.write(pem)
        options += ["--cert", bundle]
    return options
