"""Puts a leaderboard into results/videoqa.json and docs/videoqa.md.

python launch.py videoqa --dataset gymsim/crowd --model graph --checkpoint runs/aqa --out runs/qa
python -m benchmarks.publish_videoqa --out runs/qa
"""

import argparse
import pathlib

from benchmarks.publish import ROOT, put
from video2emg.eval import results
from video2emg.videoqa import leaderboard


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="of launch.py videoqa")
    found = results.read_results(parser.parse_args().out / "leaderboard.json")
    results.write_results(ROOT / "results" / "videoqa.json", found)
    text = leaderboard.format_table(found, "test")
    put(ROOT / "docs/videoqa.md", f"```text\n{text}\n```")
    print(text)


if __name__ == "__main__":
    main()
