"""fieldvisit's server: an agency's office side. `app.py` puts the rooms together; ARCHITECTURE.md is the map."""
