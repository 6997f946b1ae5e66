"""The Fitness Knowledge Graph, with penalties, scores and feedback based on it."""
