"""Meshes, sharding rules, and communication between the processes of a run."""
