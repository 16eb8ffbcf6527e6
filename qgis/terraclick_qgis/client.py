# SPDX-License-Identifier: GPL-2.0-or-later
"""The HTTP interface of `terraclick serve` for Python, without Qt: requests, click sessions, errors.

A transport is a function (method, url, headers, body, timeout in seconds) → (status, body). It raises Unreachable where
no answer came. `direct` is the transport for servers on this machine.
"""

import base64
import http.client
import json
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

LOCAL = ("127.0.0.1", "localhost", "::1")
OLDEST_SERVER = (0, 1)
"""The oldest server version whose interface fits."""
TIMEOUT_S = 120.0


class Failure(Exception):
    """What a person is told, in one sentence."""


class Unreachable(Failure):
    """No server answers at the address."""


class Refused(Failure):
    """The server answered with an error: kind is its name for it, status that of HTTP."""

    def __init__(self, message, kind="", status=0):
        super().__init__(message)
        self.kind = kind
        self.status = status


def direct(method, url, headers, body, timeout):
    """Send a request straight to a server, past all proxies. Raises Unreachable."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        connection = kind(parts.hostname or "", parts.port, timeout=timeout)
        try:
            connection.request(method, path or "/", body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(f"No TerraClick server answers at {parts.netloc} ({_reason(error)}).") from error


def _reason(error):
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


def parse_address(text):
    """(base address, token or "") of what `terraclick serve` prints, or of an address without a token.

    Raises Failure where it is no http or https address.
    """
    text = text.strip()
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Failure(f"{text[:80] or 'Nothing'} is no server address: give one such as http://127.0.0.1:8000.")
    token = dict(parse_qsl(parts.query)).get("token", "")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    base = f"{parts.scheme}://{host}" + (f":{port}" if port else "") + parts.path.rstrip("/")
    return base, token


def is_local(base):
    """Whether an address is one of this machine."""
    return (urlsplit(base).hostname or "") in LOCAL


def apply_transform(transform, x, y):
    """A pixel's place on the map; transform is [a, b, c, d, e, f]."""
    a, b, c, d, e, f = transform
    return a * x + b * y + c, d * x + e * y + f


def invert_transform(transform):
    """The transform from the map to pixels. Raises Failure where there is none."""
    a, b, c, d, e, f = transform
    area = a * e - b * d
    if area == 0:
        raise Failure("This image has no usable place on the map.")
    return [e / area, -b / area, (b * f - c * e) / area, -d / area, a / area, (c * d - a * f) / area]


def map_coordinates(geometry, transform):
    """Polygons as lists of rings of (x, y) on the map, of a GeoJSON Polygon or MultiPolygon in pixels (or None)."""
    if not geometry:
        return []
    coordinates = geometry["coordinates"]
    polygons = [coordinates] if geometry["type"] == "Polygon" else coordinates
    return [[[apply_transform(transform, *point[:2]) for point in ring] for ring in polygon] for polygon in polygons]


def pixel_geometry(polygons, transform):
    """The GeoJSON MultiPolygon in pixels of polygons on the map."""
    inverse = invert_transform(transform)
    rings = [[[list(apply_transform(inverse, *point[:2])) for point in ring] for ring in part] for part in polygons]
    return {"type": "MultiPolygon", "coordinates": rings}


class Client:
    """A server, and who asks it. Every method raises Unreachable or Refused."""

    def __init__(self, base, token, transport=direct, timeout=TIMEOUT_S):
        self.base = base.rstrip("/")
        self.token = token
        self.transport = transport
        self.timeout = timeout

    def ask(self, method, path, body=None, query=None, timeout=None):
        """The JSON of an answer; None where it has none."""
        if not (self.token.isascii() and self.token.isprintable()):
            raise Refused("No token has such letters: copy the address that the server printed last.", "Token")
        url = self.base + path + (f"?{urlencode(query, doseq=True)}" if query else "")
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Accept": "application/json",
            "User-Agent": "QGIS TerraClick",
        }
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        status, content = self.transport(method, url, headers, data, timeout or self.timeout)
        if status == 204 or (not content and 200 <= status < 300):
            return None
        try:
            found = json.loads(content)
        except ValueError:
            found = None
        if 200 <= status < 300:
            if found is None:
                raise Refused(f"What answers at {self.base} is no TerraClick server.", "Stranger", status)
            return found
        raise _refusal(found, status, self.base)

    def state(self):
        """What the server is. Raises Refused for one whose version does not fit."""
        found = self.ask("GET", "/api/state", timeout=10)
        if not isinstance(found, dict) or "version" not in found or "model" not in found:
            raise Refused(f"What answers at {self.base} is no TerraClick server.", "Stranger", 200)
        if _version(found["version"]) < OLDEST_SERVER:
            wanted = ".".join(str(part) for part in OLDEST_SERVER)
            raise Refused(
                f"The server has version {found['version']}: this plug-in needs {wanted} or newer; update it.",
                "OldServer",
            )
        return found

    def images(self):
        """All images of the server."""
        return self.ask("GET", "/api/images")["images"]

    def add_file(self, path):
        """The image of a file on the server's disk."""
        return self.ask("POST", "/api/images", {"path": path})

    def add_pixels(self, png, transform, crs, name):
        """The image of a picture (bytes of a PNG) that lies where transform says; crs is WKT, EPSG:n or None."""
        body = {"image_png": base64.b64encode(png).decode(), "transform": list(transform), "crs": crs, "name": name}
        return self.ask("POST", "/api/images/pixels", body)

    def open_session(self, image, **options):
        """A new click session on an image; options as in the server's documentation, class_name for its `class`."""
        if "class_name" in options:
            options["class"] = options.pop("class_name")
        return self.ask("POST", "/api/sessions", {"image": image, **options})

    def session(self, name):
        """A click session."""
        return self.ask("GET", f"/api/sessions/{quote(name)}")

    def click(self, name, x, y, positive=True):
        """The session after one more click."""
        return self.ask("POST", f"/api/sessions/{quote(name)}/clicks", {"x": x, "y": y, "positive": positive})

    def turn(self, name, way):
        """The session after "undo", "redo" or "clear"."""
        return self.ask("POST", f"/api/sessions/{quote(name)}/{way}")

    def change(self, name, **options):
        """The session with another target, class_name, references, simplify_m or square."""
        if "class_name" in options:
            options["class"] = options.pop("class_name")
        return self.ask("PATCH", f"/api/sessions/{quote(name)}", options)

    def preview(self, name, x, y, positive=True):
        """The outline of a click that is not kept, or None while the view is being made ready."""
        query = {"x": x, "y": y, "positive": "true" if positive else "false"}
        found = self.ask("GET", f"/api/sessions/{quote(name)}/preview", query=query)
        return found["outline"] if found["ready"] else None

    def close_session(self, name):
        """Forget a click session; one that is gone already is no error."""
        try:
            self.ask("DELETE", f"/api/sessions/{quote(name)}")
        except Refused as error:
            if error.status != 404:
                raise

    def prefetch(self, image, x, y, target="object"):
        """Make a view ready before it is clicked on."""
        self.ask("POST", f"/api/images/{quote(image)}/prefetch", {"x": x, "y": y, "target": target})

    def add_example(self, image_png, mask_png, class_name, positive):
        """Keep an example of a class, or a counter-example; bytes of two PNGs of one size."""
        body = {
            "image_png": base64.b64encode(image_png).decode(),
            "mask_png": base64.b64encode(mask_png).decode(),
            "class": class_name,
            "positive": positive,
        }
        return self.ask("POST", "/api/references", body)

    def examples(self, class_name):
        """The examples of a class."""
        return self.ask("GET", "/api/references", query={"class": class_name})["references"]

    def find(self, image, class_name, bounds, limit=100):
        """Proposals of what looks like the examples of a class within bounds in pixels."""
        view = {"bounds": list(bounds), "resolution": 1.0}
        body = {"image": image, "class": class_name, "view": view, "references": "class", "limit": limit}
        return self.ask("POST", "/api/proposals", body)

    def segment(self, image, clicks, **options):
        """The outline that clicks (x, y, positive) on an image mean; nothing is kept."""
        name = self.open_session(image, **options)["id"]
        try:
            found = None
            for x, y, positive in clicks:
                found = self.click(name, x, y, positive)
            return found
        finally:
            self.close_session(name)


def _version(text):
    numbers = []
    for part in str(text).split("."):
        digits = "".join(letter for letter in part if letter.isdigit())
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


def _refusal(found, status, base):
    if status == 401:
        return Refused(
            f"The server at {base} does not accept the token: copy the address it printed last.", "Token", status
        )
    kind, message = "", f"The server answered with status {status}."
    if isinstance(found, dict):
        kind = str(found.get("error", ""))
        message = str(found.get("message", "")) or message
    elif status >= 500:
        message = f"The server failed with status {status}: see what it printed."
    return Refused(message[:1].upper() + message[1:], kind, status)


class Outline:
    """An outline being made: the clicks, the server's session, what it answered. Survives the server's end.

    All methods that ask the server may be called again after it was restarted: a lost session is opened anew and its
    clicks are made again.
    """

    def __init__(self, image, register=None, by_content=False, **options):
        self.image = image
        self.register = register
        """Adds the image to the server, again after a restart, and gives it; None where the server has it anyway."""
        self.by_content = by_content
        """Whether the image's name tells its content, so that it is added again only where the server lacks it."""
        self.options = options
        self.clicks = []
        self.redone = []
        self.name = None
        self.answer = None

    @property
    def outline(self):
        """The latest outline of the server, or None."""
        return None if self.answer is None else self.answer.get("outline")

    def ready(self, client):
        """The session's name; opened where there is none yet."""
        if self.name is None:
            self.answer = self._opened(client)
            self.name = self.answer["id"]
            for x, y, positive in list(self.clicks):
                self.answer = client.click(self.name, x, y, positive)
        return self.name

    def _opened(self, client):
        if self.by_content:
            try:
                return client.open_session(self.image, **self.options)
            except Refused as error:
                if error.status != 404 or self.register is None:
                    raise
        if self.register is not None:
            self.image = self.register(client)["id"]
        return client.open_session(self.image, **self.options)

    def forget(self):
        """After the server was lost: the session is opened again by the next call."""
        self.name = None

    def _again(self, client, act):
        """An act on the session; once more on a new one where the session is gone from the server."""
        fresh = self.name is None
        name = self.ready(client)
        try:
            return act(name)
        except Refused as error:
            if error.status != 404 or fresh:
                raise
            self.forget()
            return act(self.ready(client))

    def click(self, client, x, y, positive):
        """The answer after one more click; a click that is refused is none."""
        self.answer = self._again(client, lambda name: client.click(name, x, y, positive))
        self.clicks.append((x, y, positive))
        self.redone = []
        return self.answer

    def undo(self, client):
        """The answer without the latest click; None where there is no click."""
        if not self.clicks:
            return None
        last = self.clicks[-1]
        self.ready(client)
        kept = self.clicks[:-1]
        self.answer = self._again(client, lambda name: client.turn(name, "undo"))
        self.answer = self._follow(client, kept)
        self.redone.append(last)
        return self.answer

    def redo(self, client):
        """The answer with the click undone last; None where there is none."""
        if not self.redone:
            return None
        rest = self.redone[:-1]
        found = self.click(client, *self.redone[-1])
        self.redone = rest
        return found

    def _follow(self, client, clicks):
        """The answer of exactly these clicks, made anew where the server has others."""
        self.clicks = list(clicks)
        if len(self.answer.get("clicks", [])) != len(clicks):
            name, self.name = self.name, None
            client.close_session(name)
            self.ready(client)
        return self.answer

    def change(self, client, **options):
        """The answer with another target, class, examples or shape."""
        self.options = {**self.options, **options}
        if self.name is None:
            return self.answer
        self.answer = self._again(client, lambda name: client.change(name, **options))
        return self.answer

    def preview(self, client, x, y, positive=True):
        """The outline if one clicked there, or None."""
        return self._again(client, lambda name: client.preview(name, x, y, positive))

    def close(self, client):
        """Forget it on the server."""
        if self.name is not None:
            name, self.name = self.name, None
            client.close_session(name)
