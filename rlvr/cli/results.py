"""The verbs that look at what runs left behind: export, push, select, claims, table, report, watch."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from rlvr.cli.arguments import Verb, flag, key, word
from rlvr.cli.overrides import Overrides, options_of, wanted
from rlvr.cli.training import run_folder
from rlvr.errors import UserError
from rlvr.files.command import typed


def papers() -> list[str]:
    from rlvr.tables.names import papers

    return papers()


def existing_folder(path: Path) -> Path:
    if not path.is_dir():
        raise UserError(
            f"{path} is no folder: accepted is a run's or one above runs, as in results/runs/adhoc"
        )
    return path


@dataclass(kw_only=True)
class OfACheckpoint:
    run: Path = word("run directory", "the run")
    folder: Path = word("new folder", "where to write")
    step: int | None = key("of the checkpoint; without it, the one that `rlvr evaluate` takes", None, least=0)
    dtype: str | None = key(
        "of the weights; without it, as they were trained", None, choices=("float32", "bfloat16", "float16")
    )


@dataclass(kw_only=True)
class Export(OfACheckpoint):
    adapter: str = key(
        "of a run with adapter=lora: made a part of the weights, or written alone as a peft folder",
        "merge",
        choices=("merge", "keep"),
    )


def export(keys: Export) -> None:
    """Write a run's chosen checkpoint as a folder that transformers and vLLM load.

    rlvr export results/runs/adhoc/grpo-99f03341/seed-1 my-policy
    rlvr export results/runs/... my-policy step=100 dtype=bfloat16
    rlvr export results/runs/... my-adapter adapter=keep
    """
    run_folder(keys.run)
    from rlvr.runs.export import export_run

    print(export_run(keys.run, keys.folder, keys.step, keys.dtype, keys.adapter))


@dataclass(kw_only=True)
class Push(OfACheckpoint):
    hub: str | None = key("a repository of the hub to upload it to", None, example="owner/name")


def push(keys: Push) -> None:
    """Write a run's model with a card of its config, pass@k and provenance, and upload it if asked.

    rlvr push results/runs/adhoc/grpo-99f03341/seed-1 my-policy
    rlvr push results/runs/... my-policy hub=owner/name       a private repository, made where there is none
    """
    run_folder(keys.run)
    from rlvr.runs.push import push_run

    print(push_run(keys.run, keys.folder, step=keys.step, dtype=keys.dtype, hub=keys.hub))


@dataclass(kw_only=True)
class Select:
    method: str = key("how problems are scored", choices=("lim", "linear", "random_subset"), example="lim")
    run: Path = key("a finished run on all of them, curriculum=shuffled", example="results/runs/...")
    threshold: float | None = key("the least score that is kept; without it, the method's own", None)
    share: float | None = key(
        "keep so many of the best-scoring instead, from above 0 to 1", None, above=0, most=1
    )
    epochs: int | None = key("look at the first so many only", None, least=2, example="2")
    size: int | None = key("of a random subset; without it, as many as method=lim keeps", None, least=1)
    seed: int | None = key("of a random subset; without it, the run's", None)
    file: Path | None = key("where to write; without it, selection-<method>.json in the run", None)


def select(keys: Select) -> None:
    """Choose the problems worth training on, from how a run on all of them went.

    rlvr select method=lim run=results/runs/adhoc/grpo-99f03341/seed-1 threshold=0.6
    rlvr select method=linear run=...                   problems that improve steadily
    rlvr select method=random_subset run=... size=500
    rlvr train curriculum=lim curriculum.selection=results/runs/adhoc/grpo-99f03341/seed-1/selection-lim.json
    """
    run_folder(keys.run)
    from rlvr.runs.select import describe, select, selection_file

    settings = vars(keys)
    selection = select(**settings)
    print(f"{keys.file or selection_file(keys.run, keys.method)}\n{describe(selection)}")


@dataclass(kw_only=True)
class Claims:
    paper: str | None = key("one paper only", None, choices=papers)
    scale: str = key("of the runs that are looked at", "laptop", choices=lambda: options_of("scale"))
    results: Path = key("where the tables are, and the pages go", Path("results"))


def claims(keys: Claims) -> None:
    """Say of each claim of a paper whether what was measured here shows it, from the files of tables.

    rlvr claims                                all papers that have claims declared
    rlvr claims paper=fgrpo scale=laptop

    Pages: results/<paper>.md. `rlvr reproduce` writes them again after every table.
    """
    from rlvr.config import EXPERIMENTS
    from rlvr.tables.claims_page import write_claims

    names = [keys.paper] if keys.paper else []
    for page, verdicts in write_claims(names, keys.scale, keys.results, EXPERIMENTS).items():
        print(f"{page}: {', '.join(f'{count} {verdict}' for verdict, count in verdicts.items())}")


@dataclass(kw_only=True)
class TableOfRuns(Overrides):
    path: Path = word("folder", "above runs, as `rlvr train -m` left them")
    x: str | None = key("the axis of a figure: a key with numbers", None, example="group_size.n")
    series: str | None = key("a line of that figure for each value of it", None, example="algorithm")
    baseline: str | None = key(
        "what arms are compared with: an arm, or the value of a key in which it differs from them",
        None,
        example="advantage_scaling.gamma=0",
    )
    k: list[int] = key("of pass@k; without it, the smallest and the largest", (), least=1, example="1,64")
    name: str | None = key("of the table and its files; without it, the experiment", None)
    results: Path | None = key("where tables, figures and the report go; without it, that folder", None)
    file: Path | None = key(
        "write the table's own file too, to edit and give to `rlvr reproduce`",
        None,
        example="experiments/mine.yaml",
    )


def table(keys: TableOfRuns) -> None:
    """Make a table of any folder of runs: Markdown, CSV, LaTeX, figures, and one HTML file to look at.

    rlvr table results/runs/adhoc
    rlvr table results/runs/adhoc x=group_size.n series=advantage_scaling.gamma
    rlvr table results/runs/adhoc baseline=advantage_scaling.gamma=0    each arm against its like with gamma 0
    rlvr table results/runs/adhoc baseline=grpo k=1,8,64                all against the arm grpo
    rlvr table results/runs/adhoc file=experiments/mine.yaml             and `rlvr reproduce table=mine`
    rlvr table results/runs/adhoc scale=smoke algorithm=grpo,dapo       of those runs only

    An arm is what seeds have in common; it is called by the keys in which it differs from the others, and so
    are keys here: gamma is advantage_scaling.gamma where no other one ends like that.
    """
    existing_folder(keys.path)
    selection = wanted(keys.overrides)
    from rlvr.report.write import write_table_of_runs
    from rlvr.runs.display import working
    from rlvr.tables.adhoc import Wish
    from rlvr.tables.terminal import print_table

    again = shlex.join(word for word in shlex.split(typed()) if not word.startswith("file="))  # written once
    wish = Wish(keys.x, keys.series, keys.baseline, keys.k, keys.name, repeat=again)
    folder = keys.results or keys.path
    with working(f"making the table and the report of the runs in {keys.path}"):
        written = write_table_of_runs(keys.path, wish, selection, folder, file=keys.file)
    print_table(*written)


@dataclass(kw_only=True)
class Report:
    path: Path = word("folder", "of a run, or one above runs")
    file: Path | None = key("where to write; without it, report.html in that folder", None)


def report(keys: Report) -> None:
    """Write one HTML file to look at a table, a sweep or a run with; it needs no network and sends nothing.

    rlvr report results/runs/fgrpo/table1/laptop          a table: the folder of its arms
    rlvr report results/runs/adhoc                        a sweep, as far as it is
    rlvr report results/runs/adhoc/grpo-99f03341/seed-1   a run
    rlvr report results/runs/adhoc file=monday.html
    """
    existing_folder(keys.path)
    from rlvr.report import find_runs, write_report
    from rlvr.runs.display import working

    with working(f"writing the report of {keys.path}"):
        file = write_report(find_runs(keys.path), keys.file or keys.path / "report.html")
    print(f"{file} ({file.stat().st_size / 1e6:.1f} MB)")


@dataclass(kw_only=True)
class Watch:
    path: Path = word("run directory", "the run")
    once: bool = flag("--once", help="as it is now, also of a finished run")


def watch(keys: Watch) -> None:
    """Show a run at work: progress, time left, the curves that matter, the last samples, and warnings.

    rlvr watch results/runs/adhoc/grpo-99f03341/seed-1
    rlvr watch results/runs/adhoc/grpo-99f03341/seed-1 --once

    It only reads the run's files, so it can be started and stopped at any time, from any terminal.
    """
    from rlvr.tracking.watch import watch

    watch(existing_folder(keys.path), once=keys.once)


VERBS = (
    Verb("export", export, Export),
    Verb("push", push, Push),
    Verb("select", select, Select),
    Verb("claims", claims, Claims),
    Verb("table", table, TableOfRuns),
    Verb("report", report, Report),
    Verb("watch", watch, Watch),
)
