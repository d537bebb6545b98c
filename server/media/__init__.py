"""Bytes: stores, and what can be read out of a photo or a recording. Knows no tables and no requests."""
