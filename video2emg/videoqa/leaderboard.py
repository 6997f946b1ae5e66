"""Comparison of respondents: results as JSON, a table as text, and a page with answers."""

import dataclasses
import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from video2emg.core.errors import UserError
from video2emg.core.files import write_text
from video2emg.core.text_table import MISSING, align, cell, descending, titled, underline
from video2emg.videoqa.items import Answer, Item
from video2emg.videoqa.metrics import Evaluator
from video2emg.videoqa.prompt import LETTERS
from video2emg.videoqa.question_types import BY_NAME

Results = dict[str, Any]

# Columns of the second table: metric, heading, number format.
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
_PAGE_QUESTIONS = 60


@dataclasses.dataclass(frozen=True)
class Submission:
    """The answers of one respondent.

    Attributes:
      name: name of the respondent in tables.
      answers: answers by question id.
      price: of a million tokens of the prompt and of the answer; None if unknown.
    """

    name: str
    answers: Mapping[str, Answer]
    price: tuple[float, float] | None = None

    def usage(self) -> Results:
        """Total tokens, and their `cost` if the price is known."""
        prompt = sum(answer.prompt_tokens for answer in self.answers.values())
        completion = sum(answer.completion_tokens for answer in self.answers.values())
        usage: Results = {"prompt_tokens": prompt, "completion_tokens": completion}
        if self.price is not None:
            usage["cost"] = (prompt * self.price[0] + completion * self.price[1]) / 1e6
        return usage

    def write(self, path: Path) -> None:
        """Writes JSONL atomically: first the respondent, then one answer per line."""
        lines = [{"name": self.name, "price": self.price}]
        lines += [{"id": id_} | dataclasses.asdict(answer) for id_, answer in self.answers.items()]
        write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))

    @classmethod
    def read(cls, path: Path) -> "Submission":
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
    """Name of the file of a respondent's answers."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", name).strip("._") + ".jsonl"


def compare(evaluator: Evaluator, submissions: Sequence[Submission], baseline: str) -> Results:
    """Scores of all respondents, and their differences to the baseline on the same draws.

    Args:
      evaluator: evaluates the answers.
      submissions: of all respondents.
      baseline: name of one of them.

    Returns:
      `models[name]`: every metric with `_ci95`, `by_type`, `usage`; `minus_<baseline>[name]`;
      `chance` and `questions` by question type; `subjects`.
    """
    scores = {submission.name: evaluator.evaluate(submission.answers) for submission in submissions}
    return {
        "models": {
            submission.name: scores[submission.name].to_json() | {"usage": submission.usage()}
            for submission in submissions
        },
        f"minus_{baseline}": {
            name: values.minus(scores[baseline])
            for name, values in scores.items()
            if name != baseline
        },
        "chance": evaluator.chance(),
        "questions": evaluator.counts(),
        "subjects": evaluator.subjects,
    }


def format_table(results: Results, split: str) -> str:
    """Accuracy of closed questions, then the other metrics. 95 % intervals are below each row."""
    part, provenance = results[split], results.get("provenance", {})
    types = sorted(part["chance"], key=list(BY_NAME).index)
    models = dict(sorted(part["models"].items(), key=lambda item: descending(item[1]["accuracy"])))
    heading = [
        provenance.get("dataset", ""),
        "simulated" if provenance.get("simulated") else "",
        f"{split}: {sum(part['questions'].values())} questions of {part['subjects']} subjects",
        f"graph {provenance.get('graph', '?')}",
    ]
    closed = _accuracy_rows(models, types, part["chance"])
    other = _metric_rows(models)
    return "\n".join([*titled(heading, closed), "", *underline(align(other))])


def _accuracy_rows(
    models: Mapping[str, Results], types: Sequence[str], chance: Mapping[str, float]
) -> list[list[str]]:
    mean_chance = f"{sum(chance.values()) / len(chance):.3f}" if chance else MISSING
    rows = [
        ["accuracy", *types, "mean"],
        ["chance", *(f"{chance[name]:.3f}" for name in types), mean_chance],
    ]
    for model, metrics in models.items():
        cells = [*(metrics["by_type"].get(name, {}) for name in types), metrics]
        rows.append([model, *(cell(m.get("accuracy"), "{:.3f}") for m in cells)])
        rows.append(["  95 %", *(_interval_cell(m.get("accuracy_ci95"), "{:.2f}") for m in cells)])
    return rows


def _metric_rows(models: Mapping[str, Results]) -> list[list[str]]:
    rows = [["", *(heading for _, heading, _ in _COLUMNS), "cost"]]
    for model, metrics in models.items():
        cost = cell(metrics["usage"].get("cost"), "{:.2f}")
        rows.append([model, *(cell(metrics[name], form) for name, _, form in _COLUMNS), cost])
        intervals = [_interval_cell(metrics[f"{name}_ci95"], form) for name, _, form in _COLUMNS]
        rows.append(["  95 %", *intervals, ""])
    if all(row[-1] in (MISSING, "", "cost") for row in rows):  # no costs are known
        rows = [row[:-1] for row in rows]
    return rows


def page(
    results: Results, split: str, items: Sequence[Item], submissions: Sequence[Submission]
) -> str:
    """The tables and some answers as HTML. All texts of models and files are escaped."""
    step = max(len(items) // _PAGE_QUESTIONS, 1)
    parts = [f"<pre>{html.escape(format_table(results, split))}</pre>"]
    for item in items[::step][:_PAGE_QUESTIONS]:
        question = item.question
        options = "".join(
            f"<br>{LETTERS[i]}. {html.escape(text)}" for i, text in enumerate(question.options)
        )
        parts.append(
            f"<h2>{html.escape(question.id)}</h2>"
            f"<p><b>{html.escape(question.text)}</b>{options}</p>"
            f"<p>Right: {html.escape(item.key.text)}</p><dl>"
        )
        for submission in submissions:
            answer = submission.answers.get(question.id, Answer("", "not asked"))
            text = f"[{answer.problem}] {answer.text}" if answer.problem else answer.text
            parts.append(f"<dt>{html.escape(submission.name)}</dt><dd>{html.escape(text)}</dd>")
        parts.append("</dl>")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\"><title>Video question answering</title>"
        "<style>body{font:15px system-ui;max-width:75rem;margin:2rem auto;padding:0 1rem}"
        "pre{overflow-x:auto}h2{font-size:1rem;margin-top:2rem}dt{font-weight:600}"
        "dd{white-space:pre-wrap}</style>" + "".join(parts) + "</html>\n"
    )


def _interval_cell(interval: Sequence[float | None] | None, form: str) -> str:
    cells = [cell(bound, form) for bound in interval or [None]]
    return MISSING if MISSING in cells else "–".join(cells)
