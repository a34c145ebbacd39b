"""KQL in the lab: our tree rewritten to what duckdb-kql reads, and the operators that it lacks done in SQL."""
