import json
from dataclasses import replace

import pandas as pd
from table_runs import page_of

from rlvr.tables import write
from rlvr.tables.spec import PublishedSource


def test_markdown_lines_up_and_keeps_published_apart(spec, run_dirs):
    (run_dirs[0] / "summary.json").unlink()
    spec.published = PublishedSource("fgrpo.csv", "1", "Qwen2.5-7B", note="another policy")
    measured, printed = write.markdown(page_of(spec, run_dirs)).split("## Published")
    assert "Qwen2.5-7B" not in measured and "64.1" not in measured
    assert "![pass@k averaged over benchmarks" in measured
    assert "](../figures/paper-table9-laptop-pass-at-k.png)" in measured
    assert "Table 1: model Qwen2.5-7B, group size 8; another policy." in printed
    assert "not run" not in printed
    assert "| F-GRPO  | 0.5   | 70.3 " in printed
    grids = [b.split("\n") for part in (measured, printed) for b in part.strip().split("\n\n") if b[0] == "|"]
    assert len(grids) == 6
    for grid in grids:
        assert len({len(line) for line in grid}) == 1
        assert len({line.count("|") for line in grid}) == 1


def test_latex_escapes_and_balances(spec, run_dirs):
    text = write.latex(page_of(replace(spec, title="100 % of a_b & c"), run_dirs))
    assert r"100 \% of a\_b \& c" in text
    assert r"F-GRPO $-$ GRPO & +12.5 $\pm$" in text
    assert text.isascii()
    assert text.count("{") == text.count("}")
    for name in ("table*", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}")
    rows = [line for line in text.split("\n") if line.startswith("GRPO & 2 &")]
    assert [row.count("&") for row in rows] == [5, 5]


def test_a_label_may_hold_what_latex_and_markdown_take_for_their_own(spec, run_dirs):
    spec.arms[0].label = r"β^2 ~ {y} $z$ \w | τ > 1 × λ"
    page = page_of(spec, run_dirs)
    text = write.latex(page)
    row = r"$\beta$\^{}2 \~{} \{y\} \$z\$ \textbackslash{}w $|$ $\tau$ $>$ 1 $\times$ $\lambda$ & 1 &"
    assert row in text and text.isascii()
    (first, *_) = (line for line in write.markdown(page).split("\n") if line.startswith("| β"))
    assert first.startswith(r"| β^2 ~ {y} $z$ \w \| τ > 1 × λ | 1 ")


def test_csv_has_six_digits_and_one_line_end():
    frame = pd.DataFrame({"arm": ["a", "b"], "value": [1 / 3, 2.0]})
    assert write.csv(frame) == b"arm,value\na,0.333333\nb,2\n"


def test_every_rendering_has_every_panel_and_note(spec, run_dirs):
    """One page is rendered three ways: what one has, all have."""
    for run, nll in zip(run_dirs, (1.0, 1.5, 1.25, 1.75), strict=True):
        answers = pd.DataFrame({"problem_id": ["a"], "nll": [nll], "initial_nll": [1.0]})
        answers.to_parquet(run / "evaluation" / "rare-answers.parquet")
        summary = json.loads((run / "summary.json").read_text())
        assert summary["status"] == "finished"
    page = page_of(spec, run_dirs)
    assert [panel.title.split(",")[0] for panel in page.panels] == [
        *("pass@1", "pass@1", "pass@8", "pass@8"),
        "ΔNLL of 1 rare correct answers to 1 problems",
    ]
    written, typeset = write.markdown(page), write.latex(page)
    for panel in page.panels:
        assert f"**{panel.title}**" in written
        assert panel.title.translate(write.LATEX) in typeset
    for note in page.notes:
        assert f"- {note}\n" in written
        assert note.translate(write.LATEX) in typeset
