"""Measurements: each prints our figure beside a peer's or a physical limit, in one run. Never timed tests.

Products of matrices get one thread, as in the product's own children: the others would wait and count.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
