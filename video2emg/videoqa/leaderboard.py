"""Who answered how well: one results file, a table as text, and a page to leaf through answers."""

import dataclasses
import html
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from video2emg.core.errors import UserError
from video2emg.core.files import write_text
from video2emg.videoqa.items import Answer, Item
from video2emg.videoqa.kinds import BY_NAME
from video2emg.videoqa.metrics import BootstrapEvaluator, Marks
from video2emg.videoqa.prompt import LETTERS

Results = dict[str, Any]

# Columns of the second table: metric, heading, format.
_COLUMNS = (
    ("recognised", "recognised", "{:.3f}"),
    ("error_f1", "error F1", "{:.3f}"),
    ("bleu", "BLEU", "{:.1f}"),
    ("chrf", "chrF++", "{:.1f}"),
    ("rouge_l", "ROUGE-L", "{:.1f}"),
    ("srcc", "SRCC", "{:.3f}"),
    ("relative_l2", "R-ℓ2×100", "{:.2f}"),
    ("mae", "MAE", "{:.2f}"),
    ("consistent", "consistent", "{:.3f}"),
    ("failed", "failed", "{:.3f}"),
)
_SHOWN = 60  # questions on the page


@dataclasses.dataclass(frozen=True)
class Sheet:
    """The answers of one respondent.

    Attributes:
      name: for tables.
      answers: by question.
      price: of a million tokens of prompt and of answer; None if unknown.
    """

    name: str
    answers: Mapping[str, Answer]
    price: tuple[float, float] | None = None

    def usage(self) -> Results:
        """Tokens of all answers, and what they cost; `cost` only with a price."""
        prompt = sum(answer.prompt_tokens for answer in self.answers.values())
        completion = sum(answer.completion_tokens for answer in self.answers.values())
        found: Results = {"prompt_tokens": prompt, "completion_tokens": completion}
        if self.price is not None:
            found["cost"] = (prompt * self.price[0] + completion * self.price[1]) / 1e6
        return found

    def write(self, path: Path) -> None:
        """As JSONL, in one step: who it is, then an answer a line."""
        lines = [{"name": self.name, "price": self.price}]
        lines += [{"id": name} | dataclasses.asdict(said) for name, said in self.answers.items()]
        write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))

    @classmethod
    def read(cls, path: Path) -> "Sheet":
        """Reads what `write` wrote.

        Raises:
          UserError: the file is damaged.
        """
        try:
            first, *rest = map(json.loads, path.read_text(encoding="utf-8").splitlines())
            answers = {line.pop("id"): Answer(**line) for line in rest}
            price = first["price"]
            return cls(str(first["name"]), answers, None if price is None else tuple(price))
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError(f"{path}: damaged ({error}); delete it") from None


def file_name(name: str) -> str:
    """A respondent's name as that of a file."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", name).strip("._") + ".jsonl"


def compare(examiner: BootstrapEvaluator, sheets: Sequence[Sheet], blind: str) -> Results:
    """Marks of all, and of each the difference to the one called `blind` on the same draws.

    Returns:
      `models[name]`: every metric with `_ci95`, `by_kind`, `usage`; `minus_blind[name]`;
      `chance` and `questions` by kind; `subjects`.
    """
    marks: dict[str, Marks] = {sheet.name: examiner.mark(sheet.answers) for sheet in sheets}
    return {
        "models": {
            sheet.name: marks[sheet.name].to_json() | {"usage": sheet.usage()} for sheet in sheets
        },
        "minus_blind": {
            name: own.minus(marks[blind]) for name, own in marks.items() if name != blind
        },
        "chance": examiner.chance(),
        "questions": examiner.counts(),
        "subjects": examiner.subjects,
    }


def format_table(results: Results, split: str) -> str:
    """Accuracy of closed questions, then the open ones; 95 % intervals below each row."""
    part, facts = results[split], results.get("provenance", {})
    kinds = sorted(part["chance"], key=list(BY_NAME).index)
    models = dict(sorted(part["models"].items(), key=lambda item: -_number(item[1]["accuracy"])))
    head = [
        facts.get("dataset", ""),
        "simulated" if facts.get("simulated") else "",
        f"{split}: {sum(part['questions'].values())} questions of {part['subjects']} subjects",
        f"graph {facts.get('graph', '?')}",
    ]
    closed = [["accuracy", *kinds, "mean"]]
    closed += [["chance", *(f"{part['chance'][k]:.3f}" for k in kinds), _mean(part["chance"])]]
    opened = [["", *(heading for _, heading, _ in _COLUMNS), "cost"]]
    for name, found in models.items():
        rows = [found["by_kind"].get(kind, {}) for kind in kinds]
        closed.append([name, *(_cell(r.get("accuracy"), "{:.3f}") for r in rows),
                       _cell(found["accuracy"], "{:.3f}")])  # fmt: skip
        closed.append(["  95 %", *(_ends(r.get("accuracy_ci95"), "{:.2f}") for r in rows),
                       _ends(found["accuracy_ci95"], "{:.2f}")])  # fmt: skip
        opened.append([name, *(_cell(found[m], form) for m, _, form in _COLUMNS),
                       _cell(found["usage"].get("cost"), "{:.2f}")])  # fmt: skip
        opened.append(["  95 %", *(_ends(found[f"{m}_ci95"], f) for m, _, f in _COLUMNS), ""])
    if all(row[-1] in ("–", "", "cost") for row in opened):
        opened = [row[:-1] for row in opened]
    return "\n".join(
        [" · ".join(text for text in head if text), *_aligned(closed), "", *_aligned(opened)]
    )


def page(results: Results, split: str, items: Sequence[Item], sheets: Sequence[Sheet]) -> str:
    """The tables and some answers as HTML. Whatever a model or a file said is escaped."""
    step = max(len(items) // _SHOWN, 1)
    parts = [f"<pre>{html.escape(format_table(results, split))}</pre>"]
    for item in items[::step][:_SHOWN]:
        question = item.question
        options = "".join(
            f"<br>{LETTERS[i]}. {html.escape(text)}" for i, text in enumerate(question.options)
        )
        parts.append(
            f"<h2>{html.escape(question.id)}</h2>"
            f"<p><b>{html.escape(question.text)}</b>{options}</p>"
            f"<p>Right: {html.escape(item.key.text)}</p><dl>"
        )
        for sheet in sheets:
            said = sheet.answers.get(question.id, Answer("", "not asked"))
            text = f"[{said.problem}] {said.text}" if said.problem else said.text
            parts.append(f"<dt>{html.escape(sheet.name)}</dt><dd>{html.escape(text)}</dd>")
        parts.append("</dl>")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\"><title>Video question answering</title>"
        "<style>body{font:15px system-ui;max-width:75rem;margin:2rem auto;padding:0 1rem}"
        "pre{overflow-x:auto}h2{font-size:1rem;margin-top:2rem}dt{font-weight:600}"
        "dd{white-space:pre-wrap}</style>" + "".join(parts) + "</html>\n"
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def _mean(shares: Mapping[str, float]) -> str:
    return f"{sum(shares.values()) / len(shares):.3f}" if shares else "–"


def _number(value: float | None) -> float:
    return -math.inf if value is None or math.isnan(value) else value


def _cell(value: float | None, form: str) -> str:
    return "–" if value is None or not math.isfinite(value) else form.format(value)


def _ends(ends: Sequence[float | None] | None, form: str) -> str:
    cells = [_cell(end, form) for end in ends or [None]]
    return "–" if "–" in cells else "–".join(cells)
