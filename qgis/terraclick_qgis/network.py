# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests through QGIS's own network access, with its proxies, certificates and logins; and what pip needs of them."""

import os
from urllib.parse import quote, urlsplit

from qgis.core import QgsApplication, QgsBlockingNetworkRequest, QgsNetworkAccessManager
from qgis.PyQt.QtCore import QByteArray, QEventLoop, QUrl
from qgis.PyQt.QtNetwork import QNetworkProxy, QNetworkRequest

from . import settings
from .client import Failure, Unreachable, direct, is_local
from .i18n import tr


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


def pip_environment(environment):
    """Variables that give pip QGIS's proxy and certificates: name → value. `environment` holds those there already.

    Raises Failure for a proxy that pip cannot use.
    """
    manager = QgsNetworkAccessManager.instance()
    found = {}
    proxy = manager.fallbackProxy()
    if proxy.type() == QNetworkProxy.ProxyType.Socks5Proxy:
        raise Failure(tr("The proxy of QGIS is a SOCKS proxy, which pip cannot use: give a folder of wheels instead."))
    if proxy.type() != QNetworkProxy.ProxyType.NoProxy and proxy.hostName():
        login = ""
        if proxy.user():
            login = ":".join(quote(part, safe="") for part in (proxy.user(), proxy.password())) + "@"
        port = f":{proxy.port()}" if proxy.port() else ""
        excluded = [*manager.excludeList(), *manager.noProxyList()]
        hosts = [urlsplit(text).hostname or text for text in excluded if text.strip()]
        for name, value in (
            ("http_proxy", f"http://{login}{proxy.hostName()}{port}"),
            ("https_proxy", f"http://{login}{proxy.hostName()}{port}"),
            ("no_proxy", ",".join(hosts)),
        ):
            found[name] = found[name.upper()] = value
    bundle = _certificates(environment)
    if bundle:
        found["PIP_CERT"] = found["REQUESTS_CA_BUNDLE"] = bundle  # the latter, where set, comes before the former
    return found


def _certificates(environment):
    """The file of all certificates that QGIS trusts, and of those pip was told to trust; "" where QGIS knows none."""
    try:
        pem = bytes(QgsApplication.authManager().trustedCaCertsPemText())
    except (AttributeError, RuntimeError):
        pem = b""
    if not pem:
        return ""
    for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        path = environment.get(name, "")
        if os.path.isfile(path):
            with open(path, "rb") as file:
                pem += b"\n" + file.read()
    path = os.path.join(settings.folder(), "certificates.pem")
    with open(path, "wb") as file:
        file.write(pem)
    return path
