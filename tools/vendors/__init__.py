"""One async client per vendor over one shared transport."""
