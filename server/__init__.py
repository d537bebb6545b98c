"""fieldvisit's server: an agency's office. `app.py` puts the rooms together; ARCHITECTURE.md is the map."""

import os

# Products of matrices are small here, and processes stand side by side: threads would wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
