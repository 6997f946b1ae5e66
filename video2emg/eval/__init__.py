"""Metrics, trivial baselines and result tables. All but `evaluate` is NumPy and knows no model."""
