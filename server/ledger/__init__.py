"""PURE: the tamper-evident log. Trees, proofs, bundles; no tables, no requests."""
