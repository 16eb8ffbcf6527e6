"""RITM as a predictor: zoom-in to 400 px and mirror average around it, as published."""

from __future__ import annotations

from functools import partial

from terraclick.networks.click import click_network

__all__ = ["build"]

build = partial(click_network, size=(400, 400))
