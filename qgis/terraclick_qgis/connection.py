# SPDX-License-Identifier: GPL-2.0-or-later
"""The controller's part that keeps the server: found, started, asked again after it was gone."""

import os
import time

from qgis.core import QgsProject

from . import settings, sources
from .client import Client, Failure, Refused, Unreachable
from .i18n import tr
from .network import transport_for

RETRY_MS = 1500
QUICK_DEATH_S = 3.0


class Connection:
    """A part of the controller."""

    # -- the server

    def connect_server(self):
        """Ask the server at the address that is set, or start one."""
        if self.connecting or self.client is not None:
            return
        self.connecting = True
        self.trouble = ""
        base = settings.get("address")
        if base:
            self._ask_state(Client(base, settings.token(), transport_for(base)))
        elif not self.server.running:
            self.started_at = time.monotonic()
            self.server.start(self._folders())
        self.changed.emit()

    def _folders(self):
        """The folders of the project's image files: all that our own server may read."""
        paths = (sources.local_path(layer) for layer in QgsProject.instance().mapLayers().values())
        return sorted({os.path.dirname(path) for path in paths if path})

    def disconnect_server(self):
        """Leave the server; one of our own is ended."""
        self.client = None
        self.server_state = None
        self.connecting = False
        self.sources.clear()
        self.making.clear()
        if self.outline is not None:
            self.outline.forget()
        self.server.stop()
        self.changed.emit()

    def _server_ready(self, address, token):
        self._ask_state(Client(address, token, transport_for(address)))

    def _ask_state(self, client):
        def done(state, error):
            self.connecting = False
            if error is not None:
                self._fail(error)
                self.trouble = str(error)
                if isinstance(error, Unreachable) and self.acts:
                    self.stalled = True
                    self.retry.start(RETRY_MS)
            else:
                self.client = client
                self.server_state = state
                self.stalled = False
                self.sources.clear()
                if self.outline is not None:
                    self.outline.forget()
                self._pump()
            self.changed.emit()

        self.jobs.submit("server", client.state, done)

    def _server_failed(self, sentence):
        self.connecting = False
        self.client = None
        self.trouble = sentence
        self.said.emit(sentence, "Critical")
        self.changed.emit()

    def _server_stopped(self, sentence):
        self.client = None
        self.server_state = None
        self.connecting = False
        if self.outline is not None:
            self.outline.forget()
        quick = time.monotonic() - self.started_at < QUICK_DEATH_S
        self.quick_deaths = self.quick_deaths + 1 if quick else 0
        if self.quick_deaths > 2:
            self.trouble = sentence
            self.said.emit(sentence, "Critical")
        else:
            self.said.emit(tr("The server has stopped; it is started again. Nothing is lost."), "Warning")
            self.connect_server()
        self.changed.emit()

    def resume(self):
        """Try again what waits for the server."""
        self.stalled = False
        if self.client is None:
            self.connect_server()
        self._pump()

    def _fail(self, error):
        """Say an error; a loss of the server also lets the outline be opened anew."""
        if isinstance(error, Unreachable):
            if self.outline is not None:
                self.outline.forget()
            if not settings.get("address"):
                return  # our own server says itself that it has stopped
            self.client = None
            self.server_state = None
        text = str(error) if isinstance(error, Failure) else tr("Something went wrong: {}").format(repr(error))
        self.said.emit(text, "Warning" if isinstance(error, Refused) else "Critical")
