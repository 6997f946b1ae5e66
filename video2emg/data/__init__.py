"""Recordings in, batches out. NumPy only: no jax arrays, no model knowledge."""
