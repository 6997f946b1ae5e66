"""Representation learning: pretraining model, losses, probes, report."""
