"""What if everything goes wrong at once, in every order? Seeded runs of phones and office over bad networks.

`schedule` draws what happens from a seed; `stage` is the real app on the real PostgreSQL, put back to one
image between runs; `world` acts; `network` and `interleaving` break and interleave; `checker` says what must
hold when all is quiet again; `shrinking` makes a failing schedule small. `python -m tests.simulation --help`.
"""
