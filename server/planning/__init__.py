"""PURE: who goes where, in which order, on a day? No tables, no requests."""
