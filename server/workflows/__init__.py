"""Use cases: load, decide, write, announce, each in one short transaction.

Only workflows open a transaction. Siblings do not import each other: they meet in `models` (shared
writes), in the pure packages (shared decisions) or through jobs (later work).
"""
