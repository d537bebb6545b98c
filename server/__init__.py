"""fieldvisit's server: an agency's office. `app.py` puts the rooms together; ARCHITECTURE.md is the map."""
