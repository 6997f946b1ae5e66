"""Who answers questions: baselines, our own model, endpoints, local models."""
