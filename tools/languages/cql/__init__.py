"""CQL, the language of Falcon's raw events."""
