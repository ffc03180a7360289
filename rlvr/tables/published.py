"""The papers' printed numbers, as they stand in `results/published/*.csv`."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

import pandas as pd

from rlvr.config.compose import project_folder
from rlvr.errors import UserError, unknown

PUBLISHED = project_folder("results/published", "_published")
PAPERS = {
    "fgrpo.csv": "F-GRPO: Don't Let Your Policy Learn the Obvious and Forget the Rare (arXiv:2602.06717)",
    "lambda_grpo.csv": "GRPO is Secretly a Process Reward Model (arXiv:2509.21154)",
    "limr.csv": "LIMR: Less is More for RL Scaling (arXiv:2502.11886)",
}
COLUMNS = ["table", "model", "benchmark", "metric", "value"]


@dataclass(frozen=True, slots=True)
class Published:
    """The numbers of one published table.

    Attributes:
        paper: title and arXiv number.
        table: its number in the paper.
        setting: what holds for every number, such as the model and the group size.
        rows: one a number: columns that tell the rows of the printed table apart, then `benchmark`,
            `metric` and `value`, the text as printed (fractions as percent, no digit lost).
    """

    paper: str
    table: str
    setting: dict[str, str]
    rows: pd.DataFrame


def load_published(file: str, directory: Path = PUBLISHED) -> pd.DataFrame:
    """All numbers of one paper as text, one row a number, validated.

    Raises:
        UserError: if the file is unknown, lacks a column, or has a value that is no number or is given twice.
    """
    if not directory.is_dir():
        raise UserError(f"published numbers are neither in {directory} nor in a clone's results/published")
    if not (directory / file).is_file():
        raise unknown("file of published numbers", file, (path.name for path in directory.glob("*.csv")))
    numbers = pd.read_csv(directory / file, dtype=str, keep_default_na=False)
    for column in COLUMNS:
        if column not in numbers:
            raise UserError(f"{file} has the columns {', '.join(numbers.columns)}: {column!r} is missing")
    if not (repeated := numbers[numbers.duplicated(list(numbers.columns.drop("value")))]).empty:
        raise UserError(f"{file} gives a number twice: {dict(repeated.iloc[0])}")
    for row in numbers[["value", "metric"]].itertuples():
        try:
            number = Decimal(row.value)
        except InvalidOperation:
            raise UserError(f"{file}, line {row.Index + 2}: {row.value!r} is not a number") from None
        if row.metric == "accuracy":
            numbers.loc[row.Index, "value"] = str(number.scaleb(2))
    return numbers.replace({"metric": {"accuracy_percent": "accuracy"}})


def published_table(file: str, table: str, model: str | None = None) -> Published:
    """One table of a paper, for one model or for all it has.

    Raises:
        UserError: for a table, or a model in it, that the file does not have; it names those there are.
    """
    rows = load_published(file)
    for column, wanted in (("table", table), ("model", model)):
        if wanted not in (None, *rows[column]):
            raise unknown(f"{column} of {file}", wanted, rows[column].unique())
        rows = rows[rows[column] == (wanted or rows[column])]
    same = [name for name in rows if name not in ("table", *COLUMNS[2:]) and rows[name].nunique() == 1]
    return Published(
        paper=PAPERS.get(file, file),
        table=table,
        setting={name: rows[name].iloc[0] for name in same if rows[name].iloc[0]},
        rows=rows.drop(columns=["table", *same]).reset_index(drop=True),
    )
