"""GymSim: the embedded simulated dataset."""

from video2emg.data.datasets.gymsim.gymsim_dataset_builder import Builder

__all__ = ["Builder"]
