"""SegNext as a predictor: the view as a whole, nothing around it, as published."""

from __future__ import annotations

from terraclick.networks.click import whole_view_network

__all__ = ["build"]

build = whole_view_network
