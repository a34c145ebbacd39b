"""The copilot as other programs hold it."""
