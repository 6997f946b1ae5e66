"""A run's model as files that need none of this repository."""
