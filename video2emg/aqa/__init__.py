"""Action quality assessment: frozen features, labels, heads, predictions, baselines, reports."""
