"""Puts the numbers of a finished assessment sweep into results/aqa.json and docs/aqa.md.

python launch.py --config configs/aqa.py --workdir runs/aqa_table --sweep
python -m benchmarks.publish_aqa --workdir runs/aqa_table
"""

import argparse
import pathlib

from benchmarks.publish import ROOT, between
from video2emg.eval import quality_report, results
from video2emg.files import write_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=pathlib.Path, required=True, help="of a --sweep")
    found = results.read_results(parser.parse_args().workdir / "results.json")
    results.write_results(ROOT / "results" / "aqa.json", found)
    text = "\n\n".join(
        [
            quality_report.format_table(found),
            quality_report.format_differences(found, "none"),
            quality_report.format_differences(found, "emg_only"),
        ]
    )
    page = ROOT / "docs" / "aqa.md"
    write_text(page, between(page.read_text(encoding="utf-8"), f"```text\n{text}\n```"))
    print(text)


if __name__ == "__main__":
    main()
