"""How a job that compares ends: results.json, table.txt, table.png, and the table on the screen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from video2emg.core.files import write_text
from video2emg.eval import comparison, results
from video2emg.parallel import hosts
from video2emg.viz import systems

RESULTS = "results.json"


def write_table(
    outcome: dict[str, Any],
    workdir: Path,
    as_text: Callable[[dict[str, Any]], str] = comparison.format_table,
    draw: Callable[[dict[str, Any], Path], Any] | None = systems.systems,
) -> dict[str, Any]:
    """Writes and prints a table.

    Args:
      outcome: `provenance` and `test`, as `as_text` and `draw` read them.
      workdir: receives results.json, table.txt and, with `draw`, table.png.
      as_text: the table as text.
      draw: the table as a picture; None for no picture.

    Returns:
      The results, as written.
    """
    path = workdir / RESULTS

    def write() -> None:
        results.write_results(path, outcome)
        written = results.read_results(path)
        text = as_text(written)
        write_text(workdir / "table.txt", text + "\n")
        if draw is not None:
            draw(written, workdir / "table.png")
        print(text)

    hosts.main_only(write)
    hosts.log(f"results: {path}")
    return results.read_results(path)
