"""Published systems for the same tasks, reimplemented as Flax modules.

They use the same batches, splits, metrics and trainer as our models, so a comparison differs in the
model only. `tests/models/published` compares them with the originals; intended differences are
listed in `docs/published_systems.md`.
"""
