"""Write docs/reference/metrics.md: every metric that a run logs.

    python scripts/metrics_reference.py

A test fails when the page is not what this writes, or a training logs what it does not have.
"""

from collections.abc import Sequence

from rlvr.config import PACKAGE
from rlvr.training.metrics import METRICS, TIMING, VALIDATION, Metric

PAGE = PACKAGE.parent / "docs" / "reference" / "metrics.md"
HEAD = """\
# Every metric

Written by `scripts/metrics_reference.py` from `rlvr/training/metrics.py`. Shares are of 1. What a sound run
shows is a rule of thumb; where `rlvr watch` and the report warn, they say what to do. All go to
[the trackers](../how-to/dashboards.md). [In Python](../how-to/python.md) those of a step are `run.metrics`,
those of a validation `run.validation`.
"""


def page() -> str:
    return HEAD + "".join(
        f"\n## {title}\n\n{text}\n\n{table(metrics)}"
        for title, text, metrics in (
            (
                "metrics.jsonl",
                "A line a step. The same seed on the same machine repeats it bit for bit. With dynamic "
                "sampling\nrewards, groups, verdicts and completions are of the groups that were trained "
                "on; `tokens/sampled` and\n`compute/flops_generated` count all.",
                METRICS,
            ),
            ("timing.jsonl", "A line a step, of what nothing repeats.", TIMING),
            (
                "validation.jsonl",
                "A line a checkpoint; each benchmark's pass@1 stands under its name. In the trackers and the "
                "report\n`validation/` stands before them: `validation/in_domain/pass@1`, "
                "`validation/<benchmark>`; in MLflow, whose names\nhave no @, "
                "`validation/in_domain/pass_at_1`.",
                VALIDATION,
            ),
        )
    )


def table(metrics: Sequence[Metric]) -> str:
    rows = ["| metric | meaning | unit | a sound run |", "|---|---|---|---|"]
    for metric in metrics:
        name = f"`{metric.name}`" + (f" with {metric.option}" if metric.option else "")
        rows.append(f"| {name} | {metric.meaning} | {metric.unit} | {metric.healthy} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
