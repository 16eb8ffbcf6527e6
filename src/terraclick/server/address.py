"""The name a server is known by: its own, or a public one behind a proxy, with the path prefix that belongs to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from terraclick.errors import BadConfig

__all__ = ["PublicAddress", "public_address"]

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class PublicAddress:
    """scheme://host[:port]prefix; the prefix is "" or begins with a slash and ends without one."""

    scheme: str
    host: str
    port: int
    prefix: str = ""

    @property
    def origin(self) -> str:
        """scheme://host[:port] as a browser writes it."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{name}" + ("" if self.port == PORTS[self.scheme] else f":{self.port}")

    @property
    def base(self) -> str:
        """What every link begins with."""
        return self.origin + self.prefix

    def is_origin(self, text: str) -> bool:
        """Whether an Origin header names this address."""
        try:
            given = urlsplit(text)
            port = given.port or PORTS.get(given.scheme, 0)
        except ValueError:
            return False
        return (given.scheme, (given.hostname or "").lower(), port) == (self.scheme, self.host, self.port)

    def within(self, path: str) -> str | None:
        """A path without the prefix, for a proxy that passes it on; None for the prefix without its slash."""
        if not self.prefix:
            return path
        if path == self.prefix:
            return None
        return path[len(self.prefix) :] if path.startswith(self.prefix + "/") else path


def public_address(text: str) -> PublicAddress:
    """The address of --public-url, for example https://maps.example.org/terraclick. Raises BadConfig."""
    try:
        given = urlsplit(text.strip())
        host, port = (given.hostname or "").lower(), given.port
    except ValueError:
        given, host, port = urlsplit(""), "", None
    fine = (
        given.scheme in PORTS
        and re.fullmatch(r"[a-z0-9._:-]{1,253}", host)
        and not (given.query or given.fragment or given.username or given.password)
        and re.fullmatch(r"(/[A-Za-z0-9._~-]+)*/?", given.path)
        and not {".", ".."} & set(given.path.split("/"))
    )
    if not fine:
        raise BadConfig(
            f"--public-url {text[:200]} is no address: give for example https://maps.example.org/terraclick."
        )
    return PublicAddress(given.scheme, host, port or PORTS[given.scheme], given.path.rstrip("/"))
