"""The door: who may come in, from where, with how much, and what every answer says to the browser.

A token of this start opens everything but the page itself; a foreign Host (DNS rebinding) or Origin (another site's
script) is refused whatever it carries. It is plain ASGI, so that streams pass through.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ["IMPORT_BYTES", "JSON_BYTES", "Guard"]

JSON_BYTES = 2 * 2**20
IMPORT_BYTES = 64 * 2**20
PICTURE_BYTES = 24 * 2**20

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
PUBLIC = ("/", "/docs", "/favicon.ico")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class _TooMuch(Exception):
    """The body is longer than it may be."""


class Guard:
    """Wraps an ASGI app. tokens: token → user; hosts: names it may be called by (None: loopback names only).

    With `any_address` a Host that is an IP address is let in too: rebinding needs a name.
    """

    def __init__(
        self, app: Any, tokens: Mapping[str, str], cookie: str, hosts: tuple[str, ...] = (), any_address: bool = False
    ) -> None:
        self.app = app
        self.tokens = dict(tokens)
        self.cookie = cookie
        self.hosts = {name.lower() for name in (*LOOPBACK, *hosts)}
        self.any_address = any_address

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Refuse, let in, or pass on a request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        began = over = False

        async def guarded(event: Any) -> None:
            nonlocal began
            if over and not began:  # whatever was made of the part that was read
                raise _TooMuch
            if event["type"] == "http.response.start":
                began = True
                given = {name.lower() for name, _ in event["headers"]}
                extra = HEADERS | ({} if scope["path"].startswith("/static/") else {"Cache-Control": "no-store"})
                new = [(k.lower().encode(), v.encode()) for k, v in extra.items() if k.lower().encode() not in given]
                event = {**event, "headers": [*event["headers"], *new]}
            await send(event)

        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _answer(guarded, *refusal)
            return
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token")
        if scope["path"] == "/" and given is not None:
            await self._let_in(scope, given[0], guarded)
            return
        user = self._user(headers)
        if scope["path"] not in PUBLIC and not scope["path"].startswith("/static/"):
            if user is None:
                sentence = "no valid token: open the address that terraclick serve printed when it started."
                await _answer(guarded, 401, "Unauthorised", sentence, [("www-authenticate", "Bearer")])
                return
        scope.setdefault("state", {})["user"] = user
        limit = self._limit(scope["path"])
        length = headers.get("content-length", ["0"])[0]
        too_much = f"the body is larger than {limit >> 20} MiB: send less at a time."
        if not length.isdigit() or int(length) > limit:
            await _answer(guarded, 413, "TooLarge", too_much)
            return
        got = 0

        async def counted() -> Any:
            nonlocal got, over
            event = await receive()
            if event["type"] == "http.request":
                got += len(event.get("body", b""))
                if got > limit:
                    over = True
                    raise _TooMuch
            return event

        try:
            await self.app(scope, counted, guarded)
        except _TooMuch:
            over = False
            if not began:
                await _answer(guarded, 413, "TooLarge", too_much)

    def _refusal(self, scope: Any, headers: dict[str, list[str]]) -> tuple[int, str, str] | None:
        hosts = headers.get("host", [])
        if len(hosts) != 1 or not self._known(hosts[0]):
            return 400, "BadHost", "this server was called by a name that is not its own: use the address it printed."
        origin = headers.get("origin", [""])[0]
        if origin and urlsplit(origin).netloc != hosts[0]:
            return 403, "Forbidden", "a page of another site may not use this server."
        site = headers.get("sec-fetch-site", ["none"])[0]
        if site not in ("none", "same-origin") and not (scope["method"] == "GET" and scope["path"] in PUBLIC):
            return 403, "Forbidden", "a page of another site may not use this server."
        return None

    def _known(self, host: str) -> bool:
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

    def _user(self, headers: dict[str, list[str]]) -> str | None:
        scheme, _, token = headers.get("authorization", [""])[0].partition(" ")
        if scheme.lower() == "bearer":
            return self._owner(token.strip())
        try:
            jar = SimpleCookie("; ".join(headers.get("cookie", [])))
        except CookieError:
            return None
        return self._owner(jar[self.cookie].value) if self.cookie in jar else None

    def _owner(self, token: str) -> str | None:
        found = None
        for known, user in self.tokens.items():
            if hmac.compare_digest(known.encode(), token.encode("utf-8", "surrogateescape")):
                found = user
        return found

    async def _let_in(self, scope: Any, token: str, send: Any) -> None:
        if self._owner(token) is None:
            await _answer(send, 401, "Unauthorised", "this token is not of this start: use the address printed last.")
            return
        cookie = f"{self.cookie}={token}; HttpOnly; SameSite=Strict; Path=/"
        if scope.get("scheme") == "https":
            cookie += "; Secure"
        await send(
            {
                "type": "http.response.start",
                "status": 303,
                "headers": [(b"location", b"/"), (b"set-cookie", cookie.encode()), (b"content-length", b"0")],
            }
        )
        await send({"type": "http.response.body", "body": b""})

    @staticmethod
    def _limit(path: str) -> int:
        if path == "/api/import":
            return IMPORT_BYTES
        return PICTURE_BYTES if path == "/api/references" else JSON_BYTES


async def _answer(send: Any, status: int, error: str, message: str, extra: list[tuple[str, str]] | None = None) -> None:
    body = json.dumps({"error": error, "message": message}).encode()
    headers = [("content-type", "application/json"), ("content-length", str(len(body))), *(extra or [])]
    start = {"type": "http.response.start", "status": status}
    await send(start | {"headers": [(name.encode(), value.encode()) for name, value in headers]})
    await send({"type": "http.response.body", "body": body})
