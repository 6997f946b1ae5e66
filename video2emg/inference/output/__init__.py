"""What `predict` writes: tables, HTML report, overlay video."""
