"""The door: who may come in, from where, with how much, and what every answer says to the browser.

A token opens everything but the page itself (as cookie, Bearer, Basic or ?token=); a foreign Host (DNS rebinding) or
Origin (another site's script) is refused whatever it carries. It is plain ASGI, so that streams pass through.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import json
import re
from collections.abc import Callable, Mapping, Sequence
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import unquote_plus, urlsplit

from starlette.requests import ClientDisconnect

from terraclick.server.address import PublicAddress

__all__ = ["IMPORT_BYTES", "JSON_BYTES", "Guard"]

JSON_BYTES = 2 * 2**20
IMPORT_BYTES = 64 * 2**20
PICTURE_BYTES = 24 * 2**20

PICTURES = ("/api/references", "/api/images/pixels", "/v1/segment")
"""Routes whose body is mostly a picture."""

POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")
"""A name or an address, and a port; nobody is named before an @."""

PUBLIC = ("/", "/docs", "/favicon.ico")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class _TooMuch(Exception):
    """The body is longer than it may be."""


class _HeadOnly(OSError):
    """All that was asked for is sent."""


class Reply:
    """Sends an answer with the headers that every answer has; to HEAD the headers alone."""

    def __init__(self, send: Any, head: bool, static: bool) -> None:
        self._send = send
        self._head = head
        self._kept = {} if static else {"Cache-Control": "no-store"}
        self.began = False
        self.over = False
        """Whatever is made of the part of a body that was read is not to be sent."""

    async def __call__(self, event: Any) -> None:
        if self.over and not self.began:
            raise _TooMuch
        if event["type"] == "http.response.start":
            self.began = True
            given = {name.lower() for name, _ in event["headers"]}
            extra = HEADERS | self._kept
            new = [(k.lower().encode(), v.encode()) for k, v in extra.items() if k.lower().encode() not in given]
            event = {**event, "headers": [*event["headers"], *new]}
        elif self._head and event["type"] == "http.response.body":
            await self._send({"type": "http.response.body", "body": b""})
            raise _HeadOnly
        await self._send(event)

    async def redirect(self, path: str, query: bytes, status: int, more: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """Send the browser on."""
        location = path.encode() + (b"?" + query if query else b"")
        headers = [(b"location", location), (b"content-length", b"0"), *more]
        await self({"type": "http.response.start", "status": status, "headers": headers})
        try:
            await self({"type": "http.response.body", "body": b""})
        except _HeadOnly:
            return


def _without_token(query: bytes) -> tuple[bytes, str | None]:
    """A query without its token, and the token."""
    parts = query.split(b"&")
    kept = [part for part in parts if part.partition(b"=")[0] != b"token"]
    if len(kept) == len(parts):
        return query, None
    found = next(part.partition(b"=")[2] for part in parts if part.partition(b"=")[0] == b"token")
    return b"&".join(kept), unquote_plus(found.decode("latin-1"))


class Guard:
    """Wraps an ASGI app. tokens: token → user; hosts: names it may be called by (None: loopback names only).

    With `any_address` a Host that is an IP address is let in too: rebinding needs a name. `public` is the address
    behind a proxy: its name is let in, its prefix taken off, and every link, cookie and redirect bears it. `allowed`
    gives the methods of a path, for OPTIONS.
    """

    def __init__(
        self,
        app: Any,
        tokens: Mapping[str, str],
        cookie: str,
        hosts: tuple[str, ...] = (),
        any_address: bool = False,
        public: PublicAddress | None = None,
        allowed: Callable[[str], Sequence[str]] = lambda path: (),
    ) -> None:
        self.app = app
        self.tokens = dict(tokens)
        self.cookie = cookie
        self.public = public
        self.allowed = allowed
        self.hosts = {name.lower() for name in (*LOOPBACK, *hosts, *([] if public is None else [public.host]))}
        self.any_address = any_address

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Refuse, let in, or pass on a request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        path = scope["path"] if self.public is None else self.public.within(scope["path"])
        reply = Reply(send, scope["method"] == "HEAD", (path or "").startswith("/static/"))
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _answer(reply, *refusal)
            return
        if path is None:
            await reply.redirect(f"{self._prefix}/", scope["query_string"], 308)
            return
        scope = scope | {"path": path, "state": {**scope.get("state", {})}}
        scope["query_string"], asked_with = _without_token(scope["query_string"])
        if path == "/" and asked_with is not None:
            await self._let_in(scope, asked_with, reply)
            return
        user = self._user(headers, asked_with)
        if path not in PUBLIC and not path.startswith("/static/") and user is None:
            sentence = "no valid token: open the address that terraclick serve printed when it started."
            segmap = {"code": "invalid_token", "message": sentence}
            error = segmap if path.startswith("/v1/") else "Unauthorised"
            await _answer(reply, 401, error, sentence, self._challenges(headers))
            return
        scope["state"] |= {"user": user, "base": self._base(scope, headers), "prefix": self._prefix}
        scope["state"]["token"] = asked_with
        if scope["method"] == "OPTIONS":
            await self._options(path, reply)
            return
        await self._bounded(scope, receive, reply, headers)

    @property
    def _prefix(self) -> str:
        return "" if self.public is None else self.public.prefix

    def _base(self, scope: Any, headers: dict[str, list[str]]) -> str:
        """What links begin with."""
        if self.public is not None:
            return self.public.base
        return f"{scope.get('scheme', 'http')}://{headers['host'][0]}"

    async def _options(self, path: str, send: Any) -> None:
        methods = self.allowed(path)
        if not methods:
            await _answer(send, 404, "UnknownName", "there is no such route: see /docs.")
            return
        head = {"type": "http.response.start", "status": 204, "headers": [(b"allow", ", ".join(methods).encode())]}
        await send(head)
        await send({"type": "http.response.body", "body": b""})

    async def _bounded(self, scope: Any, receive: Any, send: Any, headers: dict[str, list[str]]) -> None:
        """Pass a request on whose body may only be so large; HEAD is GET without what follows the headers."""
        limit = self._limit(scope["path"])
        length = headers.get("content-length", ["0"])[0]
        too_much = f"the body is larger than {limit >> 20} MiB: send less at a time."
        if not (length.isascii() and length.isdigit() and len(length) < 20) or int(length) > limit:
            await _answer(send, 413, "TooLarge", too_much)
            return
        got = 0

        async def counted() -> Any:
            nonlocal got
            event = await receive()
            if event["type"] == "http.request":
                got += len(event.get("body", b""))
                if got > limit:
                    send.over = True
                    raise _TooMuch
            return event

        if scope["method"] == "HEAD":
            scope = scope | {"method": "GET"}
        try:
            await self.app(scope, counted, send)
        except _TooMuch:
            send.over = False
            if not send.began:
                await _answer(send, 413, "TooLarge", too_much)
        except (_HeadOnly, ClientDisconnect):
            return

    def _refusal(self, scope: Any, headers: dict[str, list[str]]) -> tuple[int, str, str] | None:
        hosts = headers.get("host", [])
        if len(hosts) != 1 or not self._known(hosts[0]):
            return 400, "BadHost", "this server was called by a name that is not its own: use the address it printed."
        origin = headers.get("origin", [""])[0]
        if origin and not self._own_origin(origin, hosts[0]):
            return 403, "Forbidden", "a page of another site may not use this server."
        site = headers.get("sec-fetch-site", ["none"])[0]
        opens = scope["method"] == "GET" and self._within(scope["path"]) in PUBLIC
        if site not in ("none", "same-origin") and not opens:
            return 403, "Forbidden", "a page of another site may not use this server."
        return None

    def _within(self, path: str) -> str:
        return path if self.public is None else self.public.within(path) or "/"

    def _own_origin(self, origin: str, host: str) -> bool:
        if self.public is not None and self.public.is_origin(origin):
            return True
        try:
            return urlsplit(origin).netloc == host
        except ValueError:
            return False

    def _known(self, host: str) -> bool:
        if not _HOST.fullmatch(host):
            return False
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name.lower() in self.hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return self.any_address

    def _user(self, headers: dict[str, list[str]], asked_with: str | None) -> str | None:
        """Whose request this is: by Bearer, by Basic (the token is the password), by ?token=, or by the cookie."""
        scheme, _, rest = headers.get("authorization", [""])[0].strip().partition(" ")
        if scheme.lower() == "bearer":
            return self._owner(rest.strip())
        if scheme.lower() == "basic":
            return self._basic(rest.strip())
        if asked_with is not None:
            return self._owner(asked_with)
        try:
            jar = SimpleCookie("; ".join(headers.get("cookie", [])))
        except CookieError:
            return None
        return self._owner(jar[self.cookie].value) if self.cookie in jar else None

    def _basic(self, text: str) -> str | None:
        try:
            name, colon, token = base64.b64decode(text, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        user = self._owner(token) if colon else None
        return user if user is not None and name in ("", user) else None

    @staticmethod
    def _challenges(headers: dict[str, list[str]]) -> list[tuple[str, str]]:
        """How to come in; Basic only to programs, for browsers would ask for a password in a window of their own."""
        agent = headers.get("user-agent", [""])[0].lower()
        browser = "sec-fetch-mode" in headers or ("mozilla" in agent and "qgis" not in agent)
        basic = [] if browser else [("www-authenticate", 'Basic realm="TerraClick", charset="UTF-8"')]
        return [("www-authenticate", "Bearer"), *basic]

    def _owner(self, token: str) -> str | None:
        found = None
        for known, user in self.tokens.items():
            if hmac.compare_digest(known.encode(), token.encode("utf-8", "surrogateescape")):
                found = user
        return found

    async def _let_in(self, scope: Any, token: str, reply: Reply) -> None:
        if self._owner(token) is None:
            sentence = "this token is not of this start: use the address printed last."
            await _answer(reply, 401, "Unauthorised", sentence)
            return
        cookie = f"{self.cookie}={token}; HttpOnly; SameSite=Strict; Path={self._prefix}/"
        if (scope.get("scheme") if self.public is None else self.public.scheme) == "https":
            cookie += "; Secure"
        await reply.redirect(f"{self._prefix}/", b"", 303, [(b"set-cookie", cookie.encode())])

    @staticmethod
    def _limit(path: str) -> int:
        if path == "/api/import":
            return IMPORT_BYTES
        return PICTURE_BYTES if path in PICTURES else JSON_BYTES


async def _answer(send: Any, status: int, error: Any, message: str, extra: list[tuple[str, str]] | None = None) -> None:
    body = json.dumps({"error": error, "message": message}).encode()
    headers = [("content-type", "application/json"), ("content-length", str(len(body))), *(extra or [])]
    start = {"type": "http.response.start", "status": status}
    await send(start | {"headers": [(name.encode(), value.encode()) for name, value in headers]})
    try:
        await send({"type": "http.response.body", "body": body})
    except _HeadOnly:
        return
