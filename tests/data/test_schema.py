"""Clips as records on disk."""

import dataclasses
import sys
import typing

import numpy as np
import tensorflow_datasets as tfds

from video2emg.core.clip import Clip
from video2emg.data.datasets import schema


class Builder(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")
    clips: typing.ClassVar = []

    def _info(self):
        return tfds.core.DatasetInfo(builder=self, features=schema.features())

    def _split_generators(self, dl_manager):
        return {"train": ((c.clip_id, schema.to_example(c)) for c in self.clips)}

    def _generate_examples(self):
        raise AssertionError("the generator is given above")


def test_a_clip_survives_writing_and_reading_without_tensorflow(clips, tmp_path):
    empty = Clip(clip_id="bare", dataset="test", subject="s", action="a")
    Builder.clips = [clips[0], empty]
    builder = Builder(data_dir=tmp_path, file_format="array_record")
    builder.download_and_prepare()
    read = {c.clip_id: c for c in map(schema.from_example, builder.as_data_source("train"))}
    for written in (clips[0], empty):
        for field in dataclasses.fields(written):
            value = getattr(read[written.clip_id], field.name)
            np.testing.assert_equal(value, getattr(written, field.name), err_msg=field.name)
    assert "tensorflow" not in sys.modules
