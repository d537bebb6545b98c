"""Measurements: each prints our figure beside a peer's or a physical limit, in one run. Never timed tests."""
