"""FLEX (arXiv 2506.03198): weight-loaded exercises from several cameras with sEMG."""

from video2emg.data.datasets.flex.flex_dataset_builder import Builder

__all__ = ["Builder"]
