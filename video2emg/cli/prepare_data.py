"""Builds a dataset without training; nothing is done if it is there already."""

import dataclasses

from video2emg.core.errors import UserError


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags.

    Attributes:
      dataset: its name, e.g. recordings/default.
      manual_dir: the source's own files, for datasets made of some.
      data_dir: where built datasets live.
      estimate_pose: estimate the pose of clips that have films and no pose, with the net --net.
      net: lite, full or heavy, for --estimate_pose; docs/film.md.
      beam: options of an Apache Beam pipeline, e.g. --beam=--runner=DirectRunner.
    """

    dataset: str = ""
    manual_dir: str = ""
    data_dir: str = "data"
    estimate_pose: bool = False
    net: str = "full"
    beam: str = ""


def run(options: Options) -> int:
    """Builds; returns the exit status."""
    if not options.dataset:
        raise UserError("say what to build, e.g. --dataset recordings/default; see --help")
    from video2emg.data import store

    net = options.net if options.estimate_pose else ""
    if net:
        from video2emg.pose import weights

        weights.find(net)  # before long work
    dataset = store.open_dataset(
        options.dataset,
        options.data_dir,
        options.manual_dir or None,
        options.beam,
        estimate_pose=net,
        needed=(),
    )
    some = next(clips for clips in dataset.splits.values() if len(clips))
    if net and not some[0].joints:
        raise UserError(
            f"{options.dataset} was built before without poses; delete it from {options.data_dir} "
            "to build it again"
        )
    counts = ", ".join(f"{len(clips)} in {split}" for split, clips in dataset.splits.items())
    print(f"{options.dataset} {dataset.version} in {options.data_dir}: clips: {counts}")
    return 0
