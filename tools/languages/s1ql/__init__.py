"""S1QL 1.0, the language of SentinelOne Deep Visibility."""
