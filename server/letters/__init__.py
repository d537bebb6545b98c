"""PURE: may this letter be written, to whom, and in which words? No tables, no requests."""
