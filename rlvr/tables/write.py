"""A table's files: its page as Markdown, CSV and LaTeX, and its figures as PNG and SVG.

The same page gives the same bytes. HTML is `rlvr.report`'s.
"""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from rlvr.files.atomic import write_whole
from rlvr.tables.figures import STYLE
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


def write_table(page: TablePage, output_dir: Path) -> list[Path]:
    """Write all files of a table below `tables/` and `figures/` of a folder.

    Returns:
        The files written: the Markdown page first. The same runs give the same bytes. Of the CSV
        files one has the table and one the differences of all its arms.
    """
    files = {f"tables/{page.stem}.md": markdown(page).encode()}
    for ending, numbers in page.numbers.items():
        files[f"tables/{page.stem}{ending}.csv"] = csv(numbers)
    files[f"tables/{page.stem}.tex"] = latex(page).encode()
    for kind, figure in page.figures.items():
        drawn = figure.draw()
        for file_format in ("png", "svg"):
            files[f"figures/{page.stem}-{kind}.{file_format}"] = encode(drawn, file_format)
    for name, content in files.items():
        write_whole(output_dir / name, content)
    return [output_dir / name for name in files]


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


def encode(figure: Figure, file_format: str) -> bytes:
    """The figure as "png" or "svg", without the date and version that would make each one differ."""
    metadata = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}[file_format]
    buffer = BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format=file_format, dpi=200, metadata=metadata)
    return buffer.getvalue()


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
