"""The Fitness Knowledge Graph and what follows from it: penalties, scores, feedback."""
