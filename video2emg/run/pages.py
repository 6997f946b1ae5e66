"""Pages of the repository that hold tables of results.

A table stands between the marks `<!-- NAME: start -->` and `<!-- NAME: end -->` of a page.
"""

from pathlib import Path

from video2emg.core.errors import UserError

ROOT = Path(__file__).parents[2]  # of the checkout


def between(page: str, text: str, name: str = "results") -> str:
    """`page` with what stands between the two marks of that name replaced by `text`.

    Raises:
      UserError: the page has no such marks.
    """
    start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
    if start not in page or end not in page:
        raise UserError(f"no place for the table: the page has no marks {start} and {end}")
    before, rest = page.split(start)
    _, after = rest.split(end)
    return f"{before}{start}\n{text}\n{end}{after}"


def put(page: Path, text: str, name: str = "results") -> None:
    """Writes `text` between the two marks of that name on a page."""
    from video2emg.core.files import write_text  # loads NumPy, which the help does not need

    write_text(page, between(page.read_text(encoding="utf-8"), text, name))
