"""Runbooks, hunts, ATT&CK names, and text retrieval over them."""
