"""MFP as a predictor: as published, the previous answer stays outside the zoom window."""

from __future__ import annotations

from functools import partial

from terraclick.networks.click import click_network

__all__ = ["build"]

build = partial(click_network, keep_outside=True)
