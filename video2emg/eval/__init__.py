"""Metrics, trivial baselines and result tables; only a few modules apply a model."""
