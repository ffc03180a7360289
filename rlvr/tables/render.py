"""A table's page as Markdown, LaTeX and CSV, the same bytes from the same page. HTML is `rlvr.report`'s."""

from collections.abc import Sequence

import pandas as pd

from rlvr.tables.page import TablePage
from rlvr.tables.part import Panel

GREEK = "alpha beta gamma delta epsilon eta theta kappa lambda mu pi rho sigma tau phi omega Delta"
LATEX = str.maketrans(
    {letter: rf"$\{name}$" for letter, name in zip("αβγδεηθκλμπρστφωΔ", GREEK.split(), strict=True)}
    | {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "$": r"\$",
        "&": r"\&",
        "%": r"\%",
        "_": r"\_",
        "#": r"\#",
        "^": r"\^{}",
        "~": r"\~{}",
        "±": r"$\pm$",
        "×": r"$\times$",
        "−": "$-$",
        "†": r"$^\dagger$",
        "↑": r"$^\uparrow$",
        "↓": r"$^\downarrow$",
        "<": "$<$",
        ">": "$>$",
        "|": "$|$",
        "–": "--",
        "`": "",
    }
)


def markdown(page: TablePage) -> str:
    """The whole page; its figures stand in the folder beside its own."""
    blocks = [f"# {page.spec.title}", "\n".join(f"- {name}: {text}" for name, text in page.facts.items())]
    blocks.append("## Measured")
    blocks += [_markdown_panel(panel) for panel in page.panels]
    blocks.append("\n".join(f"- {note}" for note in page.notes))
    for kind, figure in page.figures.items():
        blocks.append(f"![{figure.caption}](../figures/{page.stem}-{kind}.png)\n\n{figure.caption}")
    if page.published:
        blocks += ["## Published", page.published_caption]
        blocks += [_markdown_panel(panel) for panel in page.published]
    return "\n\n".join(blocks) + "\n"


def latex(page: TablePage) -> str:
    """The tables for a paper, measured and published apart; needs booktabs and graphicx."""
    sources = " ".join(f"{name}: {text}." for name, text in page.facts.items())
    blocks = [_latex_table(page.panels, f"{page.spec.title}. {' '.join(page.notes)} {sources}")]
    if page.published:
        blocks.append(_latex_table(page.published, page.published_caption))
    return "\n".join(blocks)


def csv(frame: pd.DataFrame) -> bytes:
    """Six digits, one line a row, the same on every system."""
    return frame.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode()


def _markdown_panel(panel: Panel) -> str:
    header, *rows = [[text.replace("|", r"\|") for text in line] for line in [panel.header, *panel.rows]]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |"
        for line in [header, ["-" * width for width in widths], *rows]
    ]
    return f"**{panel.title}**\n\n" + "\n".join(lines)


def _latex_table(panels: Sequence[Panel], caption: str) -> str:
    lines = [r"\begin{table*}", r"\centering", r"\small"]
    for panel in panels:
        columns = "l" * len(panel.header)
        lines += [rf"\textbf{{{panel.title.translate(LATEX)}}}\\[2pt]", r"\resizebox{\textwidth}{!}{%"]
        lines += [rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}", r"\toprule"]
        header, *rows = map(_latex_row, [panel.header, *panel.rows])
        lines += [header, r"\midrule", *rows, r"\bottomrule", r"\end{tabular}}\\[6pt]"]
    return "\n".join([*lines, rf"\caption{{{caption.translate(LATEX)}}}", r"\end{table*}", ""])


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cell.translate(LATEX) for cell in cells) + r" \\"
