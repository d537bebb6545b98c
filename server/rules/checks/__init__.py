"""The checks, one file per subject; they do not know each other. `engine` lists them."""
