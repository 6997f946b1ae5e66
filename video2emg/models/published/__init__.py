"""Systems that others built for these tasks, as Linen modules; one file each.

They share our batches, splits, metrics and trainer, so that a comparison differs in the model only.
Parity with the originals is shown in `tests/models/published`; what they do differently on purpose
is listed in `docs/reference.md`.
"""
