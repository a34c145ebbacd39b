"""Sigma rules measured: our query and pySigma's on the same events, which neither converter has made."""
