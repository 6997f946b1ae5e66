"""Says what is wrong with a dataset, as a table, a file and pictures.

Looks at the source's own files (--manual_dir) where that is possible without building the dataset.
Exit statuses: 0; 1 if there are errors.
"""

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from video2emg.core.errors import UserError

if TYPE_CHECKING:
    from video2emg.core.clip import Clip
    from video2emg.data.findings import Finding

_MOST_PICTURES = 20


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags.

    Attributes:
      dataset: its name, e.g. recordings/default.
      manual_dir: the source's own files.
      data_dir: where built datasets live.
      out: folder for report.json and pictures of clips with findings.
    """

    dataset: str = ""
    manual_dir: str = ""
    data_dir: str = "data"
    out: str = "runs/check-data"


def run(options: Options) -> int:
    """Checks; returns the exit status."""
    if not options.dataset:
        raise UserError("say what to check, e.g. --dataset recordings/default; see --help")
    import tqdm

    from video2emg.core.files import write_json
    from video2emg.data import check, store
    from video2emg.viz import clips as clips_viz

    folder = Path(options.out).expanduser()
    drawn = 0

    def show(clip: "Clip", findings: "list[Finding]") -> None:
        nonlocal drawn
        if drawn < _MOST_PICTURES:
            drawn += 1
            clips_viz.draw(clip, findings, folder / f"{clip.clip_id.replace('/', '_')}.png")

    sources = store.source_clips(options.dataset, options.data_dir, options.manual_dir or None)
    splits = {
        split: tqdm.tqdm(clips, desc=f"checking {split}", unit="clip", file=sys.stderr)
        for split, clips in sources.items()
    }
    report = check.check_dataset(splits, show, store.same_people(options.dataset))
    write_json(folder / "report.json", report.to_json())
    print(report.table())
    print(f"report: {folder / 'report.json'}{f'; pictures: {drawn}' if drawn else ''}")
    return 1 if report.errors else 0
