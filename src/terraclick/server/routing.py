"""All routes of the server: those of every file in `routes`."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from fastapi import APIRouter
from fastapi.routing import APIRoute

from terraclick.server import routes

__all__ = ["ROUTERS", "ROUTES"]

ROUTERS: tuple[APIRouter, ...] = tuple(
    import_module(f"{routes.__name__}.{module.name}").router for module in iter_modules(routes.__path__)
)
ROUTES: list[APIRoute] = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
"""Every route there is."""
