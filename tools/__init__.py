"""What the graph can do."""
