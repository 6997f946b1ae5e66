"""State, step and loop."""
