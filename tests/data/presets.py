"""Whether a preset and a dataset fit together, without training and compiling anything."""

import functools
import pathlib

import jax
import numpy as np

from video2emg.data import store
from video2emg.data.augment import Augmentation
from video2emg.data.train_stream import train_batches
from video2emg.eval import evaluate, results
from video2emg.parallel import mesh as mesh_lib
from video2emg.run import setup
from video2emg.train import state as state_lib
from video2emg.train.step import train_step


def check_preset(config, data_dir: pathlib.Path, root: pathlib.Path):
    """Builds the dataset of the files in `root` and traces a training step on a batch of it.

    Returns:
      The dataset, and the results of predicting no muscle activity in the test.
    """
    config.data.update(dir=str(data_dir), manual_dir=str(root))
    config.train.batch_size = config.eval.batch_size = 8
    setup.check(config, mesh_lib.make_mesh())
    dataset = store.open_dataset(config.data.name, config.data.dir, config.data.manual_dir)
    splits, _ = setup.load_splits(config, dataset)
    batch = next(
        iter(train_batches(splits["train"], Augmentation(**config.augment.to_dict()), 8, 0))
    )
    model = setup.build_model(config, splits["train"].window)
    optimiser = state_lib.optimiser(config.train)
    state = jax.eval_shape(functools.partial(state_lib.create, model, optimiser, batch, 0))
    jax.eval_shape(train_step(model, optimiser, config.train), state, batch)
    train, test = (evaluate.series_of(splits[name], True) for name in ("train", "test"))
    predictions = [np.zeros_like(series.target) for series in test]
    subjects = {series.subject for series in train}
    return dataset, results.evaluate(results.tables(train, test, predictions), subjects)
