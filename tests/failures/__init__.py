"""Every failure the protocol must survive, each as a test; `lines.py` says which test keeps which line."""
