"""Puts the numbers of a finished assessment sweep where readers look.

    python launch.py --config configs/aqa.py --workdir runs/aqa_table --sweep
    python -m benchmarks.publish_aqa --workdir runs/aqa_table

writes results/aqa.json and the text in docs/aqa.md. With `--name`, `results/<name>.json` and the
text between the marks `<name>` of `--page`; `--minus` names rows and baselines that the others are
compared with.
"""

import argparse
import pathlib

from benchmarks.publish import ROOT, put
from video2emg.aqa import report
from video2emg.eval import results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=pathlib.Path, required=True, help="of a --sweep")
    parser.add_argument("--name", default="aqa")
    parser.add_argument("--page", type=pathlib.Path, default=ROOT / "docs/aqa.md")
    parser.add_argument("--minus", nargs="*", default=["none", "emg_only"])
    args = parser.parse_args()
    found = results.read_results(args.workdir / "results.json")
    differences = [report.format_differences(found, name) for name in args.minus]
    text = "\n\n".join([report.format_table(found), *differences])
    mark = "results" if args.name == "aqa" else args.name
    put(args.page, f"```text\n{text}\n```", mark)
    results.write_results(ROOT / f"results/{args.name}.json", found)
    print(text)


if __name__ == "__main__":
    main()
