"""Muscles in Action (Chiquier & Vondrick, ICCV 2023): pose and EMG envelopes of 15 exercises."""

from video2emg.data.datasets.mia.mia_dataset_builder import Builder

__all__ = ["Builder"]
