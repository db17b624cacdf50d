"""A simulated Binance behind real HTTP: one seed makes a world, and the API tells of it as the venue would."""

from __future__ import annotations

from recon_pipeline.sandbox.binance.server import Sandbox, serve
from recon_pipeline.sandbox.binance.world import DOUBTS, World, make_world

__all__ = ["DOUBTS", "Sandbox", "World", "make_world", "serve"]
