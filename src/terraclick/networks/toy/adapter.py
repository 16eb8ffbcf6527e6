"""The toy as a predictor."""

from __future__ import annotations

from terraclick.networks.click import click_network

__all__ = ["build"]

build = click_network
