"""PURE: which clocks run on a case, until when, and what stopped them? No tables, no requests."""
