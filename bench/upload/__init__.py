"""How does evidence arrive: how fast, at what cost, in how much memory, and what does a cut lose?

Beside the reference server of tus (npm `@tus/server` with its file store), a bare sink under the same
gunicorn that hashes and synchronises, and a raw write + fsync: one client, one run, in turns.
"""
