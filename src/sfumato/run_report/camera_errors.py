"""The reprojection error of each camera in the report of a run."""

from __future__ import annotations

from sfumato.run_report.facts import MOST_SHOWN, RunFacts, number, table
from sfumato.run_report.svg_charts import bars

# Cameras that the page shows.
_SHOWN = 24


def camera_errors(facts: RunFacts) -> str:
    """The cameras with the largest errors as bars, the largest first; "" if they are not known."""
    errors = table(facts.sfm, "reprojection_errors_px")
    known = [(str(name)[:200], number(errors, name)) for name in list(errors)[: 100 * MOST_SHOWN]]
    rows = sorted([(name, value) for name, value in known if value is not None], key=lambda row: -row[1])
    if not rows:
        return ""
    shown = rows[:_SHOWN]
    whose = f"the {len(shown)} largest of {len(rows):,}" if len(shown) < len(rows) else "by picture"
    chart = bars("Reprojection error of each camera", shown, "px", digits=2)
    return f"<h3>Reprojection error, {whose}</h3>\n{chart}"
