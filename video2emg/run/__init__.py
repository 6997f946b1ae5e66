"""What jobs share: a run's folder, and data and model from its config."""
