"""Meshes, sharding rules and the hand-over of host data to devices."""
