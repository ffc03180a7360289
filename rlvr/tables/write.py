"""A table's files: its page as Markdown, CSV and LaTeX, and its figures as PNG and SVG."""

from pathlib import Path

from rlvr.files.atomic import write_whole
from rlvr.tables import figures, render
from rlvr.tables.page import TablePage


def write_table(page: TablePage, output_dir: Path) -> list[Path]:
    """Write all files of a table below `tables/` and `figures/` of a folder.

    Returns:
        The files written: the Markdown page first. The same runs give the same bytes. Of the CSV
        files one has the table and one the differences of all its arms.
    """
    files = {f"tables/{page.stem}.md": render.markdown(page).encode()}
    for ending, numbers in page.numbers.items():
        files[f"tables/{page.stem}{ending}.csv"] = render.csv(numbers)
    files[f"tables/{page.stem}.tex"] = render.latex(page).encode()
    for kind, figure in page.figures.items():
        drawn = figure.draw()
        for file_format in ("png", "svg"):
            files[f"figures/{page.stem}-{kind}.{file_format}"] = figures.encode(drawn, file_format)
    for name, content in files.items():
        write_whole(output_dir / name, content)
    return [output_dir / name for name in files]
