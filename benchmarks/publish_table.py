"""Puts a finished table where readers look.

    python launch.py --config configs/baselines.py --workdir runs/baselines
    python -m benchmarks.publish_table --workdir runs/baselines --name baselines

writes results/<name>.json, the text between the marks `<name>` of docs/published_systems.md (or of
another --page), and docs/img/<name>.png where the page shows it.
"""

import argparse
import pathlib
import shutil

from benchmarks.publish import ROOT, put
from video2emg.eval import results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=pathlib.Path, required=True, help="of a table")
    parser.add_argument("--name", required=True)
    parser.add_argument("--page", type=pathlib.Path, default=ROOT / "docs/published_systems.md")
    args = parser.parse_args()
    found = results.read_results(args.workdir / "results.json")
    text = (args.workdir / "table.txt").read_text(encoding="utf-8").rstrip()
    put(args.page, f"```text\n{text}\n```", args.name)
    results.write_results(ROOT / f"results/{args.name}.json", found)
    if f"img/{args.name}.png" in args.page.read_text(encoding="utf-8"):
        shutil.copyfile(args.workdir / "table.png", ROOT / f"docs/img/{args.name}.png")
    print(text)


if __name__ == "__main__":
    main()
