"""Puts the numbers of a finished sweep where readers look; the README's are never typed by hand.

    python launch.py --config configs/v2emg.py --workdir runs/seeds --sweep
    python -m benchmarks.publish --workdir runs/seeds

writes results/v2emg.json, the table in README.md and docs/img/{envelopes,skill}.png.
"""

import argparse
import pathlib
import shutil

from video2emg.eval import results
from video2emg.files import write_text
from video2emg.viz import figures

ROOT = pathlib.Path(__file__).parents[1]


def between(page: str, text: str, mark: str = "results") -> str:
    """`page` with what stands between the two comments of that mark replaced by `text`."""
    start, end = f"<!-- {mark}: start -->", f"<!-- {mark}: end -->"
    before, rest = page.split(start)
    _, after = rest.split(end)
    return f"{before}{start}\n{text}\n{end}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=pathlib.Path, required=True, help="of a --sweep")
    workdir = parser.parse_args().workdir
    found = results.read_results(workdir / "results.json")
    results.write_results(ROOT / "results" / "v2emg.json", found)
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    table = f"```text\n{results.format_table(found)}\n```"
    write_text(ROOT / "README.md", between(page, table))
    figures.skill_by_action(found, ROOT / "docs/img/skill.png")
    shutil.copyfile(
        workdir / "0/figures/envelopes_barbell_squat.png", ROOT / "docs/img/envelopes.png"
    )
    print(results.format_table(found))


if __name__ == "__main__":
    main()
