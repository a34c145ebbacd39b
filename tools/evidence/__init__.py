"""The case: evidence, normalised events, stories, claims and their verification, exports."""
