"""SimpleClick as a predictor: zoom-in and mirror average around it, as published."""

from __future__ import annotations

from terraclick.networks.click import click_network

__all__ = ["build"]

build = click_network
