"""Figures of predictions and results."""
