"""Puts the numbers of a finished sweep where readers look; the README's are never typed by hand.

    python launch.py --config configs/v2emg.py --workdir runs/seeds --sweep
    python -m benchmarks.publish --workdir runs/seeds

writes results/v2emg.json, the table in README.md, docs/img/{envelopes,skill,calibration}.png and in
docs/results.md where skill is highest and lowest, and what intervals hold.
"""

import argparse
import pathlib
import shutil

from video2emg.core.files import write_text
from video2emg.eval import results
from video2emg.viz import figures

ROOT = pathlib.Path(__file__).parents[1]


def between(page: str, text: str, name: str = "results") -> str:
    """`page` with what stands between the two marks of that name replaced by `text`."""
    start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
    before, rest = page.split(start)
    _, after = rest.split(end)
    return f"{before}{start}\n{text}\n{end}{after}"


def put(page: pathlib.Path, text: str, name: str = "results") -> None:
    """Writes `text` between the two marks of that name on a page."""
    write_text(page, between(page.read_text(encoding="utf-8"), text, name))


def extremes(found: dict) -> str:
    """Table of the groups with the highest and the lowest skill."""
    model = found["test"]["model"]
    lines = ["| by | highest skill | lowest skill |", "|---|---|---|"]
    for group in ("action", "muscle", "subject"):
        order = sorted(model[f"by_{group}"].items(), key=lambda item: -item[1]["skill"])
        ends = (order[:3], order[:-4:-1])
        cells = (", ".join(f"{name} {row['skill']:.2f}" for name, row in end) for end in ends)
        lines.append(f"| {group} | {' | '.join(cells)} |")
    return "\n".join(lines)


def coverage(found: dict) -> str:
    """Table of what intervals hold, by the share that they promise."""
    head = "| promised | hold | 95 % | mean width | by level of EMG alone: hold | mean width |"
    lines = [head, "|---|---|---|---|---|---|"]
    for level, row in sorted(found["test"]["calibration"].items(), key=lambda item: float(item[0])):
        plain, ends = row["without_predicted_mae"], row.get("coverage_ci95")
        interval = f"{ends[0]:.3f} to {ends[1]:.3f}" if ends else "–"
        lines.append(f"| {level} | {row['coverage']:.3f} | {interval} | {row['width']:.3f} | "
                     f"{plain['coverage']:.3f} | {plain['width']:.3f} |")  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=pathlib.Path, required=True, help="of a --sweep")
    workdir = parser.parse_args().workdir
    found = results.read_results(workdir / "results.json")
    results.write_results(ROOT / "results" / "v2emg.json", found)
    put(ROOT / "README.md", f"```text\n{results.format_table(found)}\n```")
    put(ROOT / "docs/results.md", extremes(found), "extremes")
    put(ROOT / "docs/results.md", coverage(found), "calibration")
    figures.skill_by_action(found, ROOT / "docs/img/skill.png")
    shutil.copyfile(
        workdir / "0/figures/envelopes_barbell_squat.png", ROOT / "docs/img/envelopes.png"
    )
    shutil.copyfile(workdir / "0/figures/calibration.png", ROOT / "docs/img/calibration.png")
    print(results.format_table(found))


if __name__ == "__main__":
    main()
