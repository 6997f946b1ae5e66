"""Features of a frozen encoder for every clip, computed once and kept as ArrayRecord.

A folder of features belongs to one (dataset, version, window, encoder, weights); for another
combination another folder is made beside it.
"""

import dataclasses
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from array_record.python import array_record_module
from jaxtyping import Bool, Float

from video2emg.core.errors import UserError
from video2emg.core.files import new_folder, write_json
from video2emg.data.batches import eval_batches
from video2emg.data.examples import Examples

_META, _RECORDS = "meta.json", "features.array_record"

# Video [B, T, S, S, 3] in [-1, 1] and mask [B, T] → [B, T2, D].
Encode = Callable[[jax.Array, jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Features:
    """One clip's features. P instants, V views, D features.

    Attributes:
      clip_id: of the clip.
      values: [P, V, D]; zero where `mask` is false.
      time: [P] s on the clip clock, increasing.
      mask: [P, V] whether that view has a frame there.
    """

    clip_id: str
    values: Float[np.ndarray, "P V D"]
    time: Float[np.ndarray, " P"]
    mask: Bool[np.ndarray, "P V"]


def identity(
    dataset: str, version: str, examples: Examples, encoder: Mapping[str, Any], weights: str
) -> dict[str, Any]:
    """Everything that features depend on, as JSON.

    Args:
      dataset: its name and config.
      version: of its builder.
      examples: for their window.
      encoder: name and settings.
      weights: fingerprint of the file of weights, or the seed of random ones.
    """
    window = dataclasses.asdict(examples.window)
    about = {
        "dataset": dataset,
        "version": version,
        "window": {name: window[name] for name in ("seconds", "frame_rate", "size", "views")},
        "encoder": dict(encoder),
        "weights": weights,
    }
    return json.loads(json.dumps(about, sort_keys=True))


def cached(
    root: str | Path,
    split: str,
    about: Mapping[str, Any],
    examples: Examples,
    encode: Encode,
    stride: int,
    batch: int = 8,
) -> list[Features]:
    """Features of all clips of a split, read if they were computed before.

    Args:
      root: where features live, e.g. `data/features`.
      split: name of the split.
      about: of `identity`.
      examples: the split.
      encode: the frozen encoder; jitted here.
      stride: frames per instant of the encoder.
      batch: windows at a time.

    Raises:
      UserError: the folder is damaged or holds other clips.
    """
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
    folder = Path(root).expanduser() / key / split
    clip_ids = [examples.source[i].clip_id for i in range(len(examples))]
    if folder.exists():
        features = read(folder)
        if [clip.clip_id for clip in features] != clip_ids:
            raise UserError(f"{folder}: features of other clips; delete the folder")
        return features
    features = list(_compute(examples, encode, stride, batch))
    write(folder, about, features)
    return features


def _compute(examples: Examples, encode: Encode, stride: int, batch: int) -> Iterator[Features]:
    """Encodes windows side by side and joins the windows of each clip.

    The last window of a clip ends with it; what the window before has shown is left out.
    """

    @jax.jit
    def forward(video: jax.Array, mask: jax.Array) -> jax.Array:
        b, v, t = mask.shape
        pixels = jnp.where(mask[..., None, None, None], video.astype(jnp.float32) / 127.5 - 1, 0.0)
        values = encode(pixels.reshape(b * v, *pixels.shape[2:]), mask.reshape(b * v, t))
        return values.reshape(b, v, *values.shape[1:])

    pieces: dict[int, list[tuple[np.ndarray, ...]]] = {i: [] for i in range(len(examples))}
    for host in eval_batches(examples, batch, stride=examples.window.seconds):
        values = np.asarray(forward(host["video"], host["video_mask"]), np.float32)
        step = stride / examples.window.frame_rate
        for row in np.flatnonzero(host["_mask"]):
            instants = values[row].swapaxes(0, 1)
            v, t = host["video_mask"][row].shape
            count = len(instants) * stride
            padded = np.zeros((v, max(count, t)), bool)
            padded[:, :t] = host["video_mask"][row]
            mask = np.asarray(padded[:, :count].reshape(v, -1, stride).any(2)).T
            time = float(host["start"][row]) + np.arange(len(instants)) * step
            parts = pieces[int(host["index"][row])]
            new = time > (parts[-1][1][-1] + step / 2 if parts else -np.inf)
            parts.append((instants[new], time[new], mask[new]))
    for index, parts in pieces.items():
        instants, time, mask = (np.concatenate(part) for part in zip(*parts, strict=True))
        kept = mask.any(1)
        yield Features(
            clip_id=examples.source[index].clip_id,
            values=np.where(mask[..., None], instants, 0.0)[kept].astype(np.float32),
            time=time[kept],
            mask=mask[kept],
        )


def write(folder: str | Path, about: Mapping[str, Any], features: Sequence[Features]) -> None:
    """Writes a folder of features in one step: under a temporary name, then renamed.

    Raises:
      UserError: the folder is not empty, or cannot be written.
    """
    with new_folder(Path(folder)) as temporary:
        writer = array_record_module.ArrayRecordWriter(str(temporary / _RECORDS), "group_size:1")
        for clip in features:
            buffer = io.BytesIO()
            np.savez(buffer, values=clip.values, time=clip.time, mask=clip.mask)
            writer.write(buffer.getvalue())
        writer.close()
        clips = [clip.clip_id for clip in features]
        write_json(temporary / _META, {"about": dict(about), "clips": clips})


def read(folder: str | Path) -> list[Features]:
    """Reads a folder of features.

    Raises:
      UserError: it is damaged.
    """
    folder = Path(folder)
    try:
        clips = json.loads((folder / _META).read_text())["clips"]
        reader = array_record_module.ArrayRecordReader(str(folder / _RECORDS))
        features = []
        for clip_id, record in zip(clips, reader.read_all(), strict=True):
            with np.load(io.BytesIO(record), allow_pickle=False) as fields:
                features.append(Features(clip_id=clip_id, **fields))
        reader.close()
    except (OSError, ValueError, KeyError, RuntimeError, IndexError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{folder}: damaged features ({str(error).splitlines()[0]}); delete the folder"
        ) from None
    return features
