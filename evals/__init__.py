"""Cases, scorers and the harness that measures the copilot."""
