"""The lab: telemetry, scenario, importers, and the vendors' APIs over them."""
