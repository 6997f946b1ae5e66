"""A user's own folder of recordings; see docs/bring_your_data.md."""

from video2emg.data.datasets.recordings.recordings_dataset_builder import Builder

__all__ = ["Builder"]
