"""Writes finished results where readers look: results/, tables in README.md and docs/, pictures.

Tables stand between the marks `<!-- NAME: start -->` and `<!-- NAME: end -->` of a page.

    --kind main --run runs/seeds                       # README.md, docs/results.md; a --sweep
    --kind table --run runs/baselines --name baselines # a table, in docs/published_systems.md
    --kind aqa --run runs/aqa_table                    # a --sweep of configs/aqa.py, in docs/aqa.md
    --kind videoqa --run runs/qa                       # of the command videoqa, in docs/videoqa.md
    --kind transfer --run transfer/gymsim_other --name transfer_other # of transfer, in its page
"""

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from video2emg.core.errors import UserError
from video2emg.run.pages import ROOT, put

# The page of each kind, where --page says none.
PAGES = {
    "main": "docs/results.md",
    "aqa": "docs/aqa.md",
    "table": "docs/published_systems.md",
    "videoqa": "docs/videoqa.md",
    "transfer": "docs/transfer.md",
}
_MINUS = ("none", "emg_only")


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags.

    Attributes:
      kind: main, of a sweep of the main job; aqa, of a sweep of the assessment job; table, of
        several systems; videoqa, of a leaderboard; transfer, of the command of that name.
      run: workdir with the finished results.
      name: name of the results file and of the marks on the page, for kinds table, aqa and
        transfer.
      page: page that receives the table; by default that of the kind.
      minus: for kind aqa, rows and baselines that the others are compared with; by default none and
        emg_only.
    """

    kind: Literal["main", "aqa", "table", "videoqa", "transfer"] = "table"
    run: str = ""
    name: str = ""
    page: str = ""
    minus: tuple = ()


def run(options: Options) -> int:
    """Writes; returns the exit status."""
    if not options.run:
        raise UserError("say which results, e.g. --run runs/baselines; see --help")
    if not (ROOT / "README.md").exists():
        raise UserError(f"{ROOT}: no checkout of the repository, whose pages publish writes")
    write = {
        "main": _main,
        "aqa": _aqa,
        "table": _table,
        "videoqa": _videoqa,
        "transfer": _transfer,
    }[options.kind]
    folder = Path(options.run).expanduser()
    print(write(folder, options, ROOT / (options.page or PAGES[options.kind])))
    return 0


def extremes(results: Mapping[str, Any]) -> str:
    """Table of the groups with the highest and the lowest skill."""
    model = results["test"]["model"]
    lines = ["| by | highest skill | lowest skill |", "|---|---|---|"]
    for group in ("action", "muscle", "subject"):
        order = sorted(model[f"by_{group}"].items(), key=lambda item: -item[1]["skill"])
        ends = (order[:3], order[:-4:-1])
        cells = (", ".join(f"{name} {row['skill']:.2f}" for name, row in end) for end in ends)
        lines.append(f"| {group} | {' | '.join(cells)} |")
    return "\n".join(lines)


def coverage(results: Mapping[str, Any]) -> str:
    """Table of what intervals hold, by the share that they promise."""
    head = (
        "| nominal coverage | measured coverage | 95 % | mean width "
        "| by level of EMG only: coverage | mean width |"
    )
    lines = [head, "|---|---|---|---|---|---|"]
    calibration = results["test"]["calibration"]
    for level, row in sorted(calibration.items(), key=lambda item: float(item[0])):
        plain, ends = row["without_predicted_mae"], row.get("coverage_ci95")
        interval = f"{ends[0]:.3f} to {ends[1]:.3f}" if ends else "–"
        lines.append(
            f"| {level} | {row['coverage']:.3f} | {interval} | {row['width']:.3f} | "
            f"{plain['coverage']:.3f} | {plain['width']:.3f} |"
        )
    return "\n".join(lines)


def ladder(results: Mapping[str, Any]) -> str:
    """Tables of `transfer`: prime movers if they are named, all channels, muscles at k = 0."""
    from video2emg.eval.ladder import MODEL, ROWS

    rungs = {k: results["test"]["rungs"][k] for k in sorted(results["test"]["rungs"], key=int)}
    names = [name for name in ROWS if any(name in rung["rows"] for rung in rungs.values())]
    kinds = [
        ("All channels, r at the lag (skill), loudness", ("r_lag", "skill", "loudness")),
        ("Prime movers, r at the lag, loudness", ("prime_r_lag", "prime_loudness")),
    ]
    first = next(iter(rungs.values()))["rows"]
    if first[MODEL]["prime_r_lag"] is None:
        kinds = kinds[:1]
    tables = []
    for heading, metrics in reversed(kinds):
        lines = [
            f"| {heading} | {' | '.join(f'k = {k}' for k in rungs)} |",
            "|---" * (len(rungs) + 1) + "|",
        ]
        for name in names:
            rows = [rung["rows"].get(name) for rung in rungs.values()]
            lines.append(f"| {name} | {' | '.join(_scored(row, metrics) for row in rows)} |")
        tables.append("\n".join(lines))
    if "0" in rungs:
        tables.append(_muscles(rungs["0"]["rows"]))
    return "\n\n".join(tables)


def _scored(row: Mapping[str, Any] | None, metrics: Sequence[str]) -> str:
    """Scores of a row: r, (skill), loudness."""
    if row is None:
        return ""
    parts = []
    for metric in metrics:
        value = row[metric]
        if metric != "skill":
            parts.append("–" if value is None else f"{value:+.2f}")
        elif value is not None:
            parts[-1] += f" ({value:+.2f})"
    return ", ".join(parts).replace("-", "−")


def _muscles(rows: Mapping[str, Any]) -> str:
    """The r at the lag and loudness of each muscle, best of the model first."""
    from video2emg.core.text_table import descending
    from video2emg.eval.ladder import MODEL, ROWS

    names = [name for name in ROWS if name in rows]
    of_model = rows[MODEL]["by_muscle"]
    lines = [f"| k = 0, r at the lag, loudness | {' | '.join(names)} |", "|---" * (len(names) + 1)]
    lines[-1] += "|"
    for muscle in sorted(of_model, key=lambda m: descending(of_model[m]["r_lag"])):
        cells = (_scored(rows[n]["by_muscle"][muscle], ("r_lag", "loudness")) for n in names)
        lines.append(f"| {muscle.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _transfer(folder: Path, options: Options, page: Path) -> str:
    """What a model is worth on other people."""
    from video2emg.eval import results

    if not options.name:
        raise UserError("say what the tables are called, e.g. --name transfer_other")
    run_results = results.read_results(folder / "results.json")
    text = ladder(run_results)
    put(page, text, options.name)
    results.write_results(ROOT / f"results/{options.name}.json", run_results)
    return text


def _main(folder: Path, options: Options, page: Path) -> str:
    """The README's table, its pictures, and where skill is highest and lowest."""
    from video2emg.eval import results
    from video2emg.viz import figures

    run_results = results.read_results(folder / "results.json")
    text = results.format_table(run_results)
    results.write_results(ROOT / "results" / "v2emg.json", run_results)
    put(ROOT / "README.md", _code(text))
    put(page, extremes(run_results), "extremes")
    put(page, coverage(run_results), "calibration")
    images, own = ROOT / "docs/img", folder / "0/figures"
    figures.skill_by_action(run_results, images / "skill.png")
    shutil.copyfile(own / "envelopes_barbell_squat.png", images / "envelopes.png")
    shutil.copyfile(own / "calibration.png", images / "calibration.png")
    return text


def _aqa(folder: Path, options: Options, page: Path) -> str:
    """A sweep of assessment heads, and their differences to some of them."""
    from video2emg.aqa import report
    from video2emg.eval import results

    run_results = results.read_results(folder / "results.json")
    differences = [report.format_differences(run_results, name) for name in options.minus or _MINUS]
    text = "\n\n".join([report.format_table(run_results), *differences])
    name = options.name or "aqa"
    put(page, _code(text), "results" if name == "aqa" else name)
    results.write_results(ROOT / f"results/{name}.json", run_results)
    return text


def _table(folder: Path, options: Options, page: Path) -> str:
    """A table of several systems, and its picture where the page shows it."""
    from video2emg.eval import results

    if not options.name:
        raise UserError("say what the table is called, e.g. --name baselines")
    run_results = results.read_results(folder / "results.json")
    text = (folder / "table.txt").read_text(encoding="utf-8").rstrip()
    put(page, _code(text), options.name)
    results.write_results(ROOT / f"results/{options.name}.json", run_results)
    if f"img/{options.name}.png" in page.read_text(encoding="utf-8"):
        shutil.copyfile(folder / "table.png", ROOT / f"docs/img/{options.name}.png")
    return text


def _videoqa(folder: Path, options: Options, page: Path) -> str:
    """The leaderboard of answers about videos."""
    from video2emg.eval import results
    from video2emg.videoqa import leaderboard

    run_results = results.read_results(folder / "leaderboard.json")
    results.write_results(ROOT / "results" / "videoqa.json", run_results)
    text = leaderboard.format_table(run_results, "test")
    put(page, _code(text))
    return text


def _code(text: str) -> str:
    return f"```text\n{text}\n```"
