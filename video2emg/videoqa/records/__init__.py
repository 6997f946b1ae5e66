"""Questions about clips, with the frames of the clips."""

from video2emg.videoqa.records.videoqa_dataset_builder import (
    Builder,
    build_records,
    open_records,
)

__all__ = ["Builder", "build_records", "open_records"]
