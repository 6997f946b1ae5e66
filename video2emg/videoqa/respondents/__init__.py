"""Respondents: baselines, our own model, chat endpoints, local models."""
