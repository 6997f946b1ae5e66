"""What a check of a dataset finds."""

import collections
import dataclasses
from typing import Any, Literal

from video2emg.data.delay import lines_about

Severity = Literal["error", "warning"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One problem.

    Attributes:
      severity: `error`: cannot be trained on, or only wrongly; `warning`: needs a look.
      code: short name of the check.
      clip_id: empty if it concerns the whole dataset.
      field: of the Clip, with the channel or view if it concerns one.
      message: what was measured and what was expected.
    """

    severity: Severity
    code: str
    clip_id: str
    field: str
    message: str


@dataclasses.dataclass(frozen=True)
class Report:
    """All findings, and how many clips were checked.

    Attributes:
      clips: number per split.
      findings: in the order of the clips.
      lags: by person, how late the EMG is against the movement: `seconds`, `low`, `high` (95 %),
        `r`, `remark`, `clips`, `by_action`.
    """

    clips: dict[str, int]
    findings: list[Finding]
    lags: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)

    @property
    def errors(self) -> int:
        """Number of findings that are errors."""
        return sum(finding.severity == "error" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """A copy that can be written as JSON; `schema` is the name of its format."""
        return {
            "schema": "video2emg.check/1",
            "clips": self.clips,
            "errors": self.errors,
            "warnings": len(self.findings) - self.errors,
            "findings": [dataclasses.asdict(finding) for finding in self.findings],
            "delay_of_emg": self.lags,
        }

    def table(self) -> str:
        """One line per kind of finding, errors first, with an example."""
        groups = collections.defaultdict(list)
        for finding in self.findings:
            groups[finding.severity, finding.code].append(finding)
        counts = ", ".join(f"{count} in {split}" for split, count in self.clips.items())
        lines = [f"clips: {counts}"]
        for (severity, code), findings in sorted(groups.items()):
            first = findings[0]
            lines.append(
                f"{severity:8s}{code:22s}{len(findings):5d}   e.g. {first.clip_id} {first.field}: "
                f"{first.message}"
            )
        lines += lines_about(self.lags)
        lines.append(f"{self.errors} errors, {len(self.findings) - self.errors} warnings")
        return "\n".join(lines)
