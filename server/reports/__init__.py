"""PURE: what a month proposes, and how reports are drawn: facts in, numbers and bytes out."""
