"""A run folder from a stranger, whose files say what rlvr never wrote: shown, reported and evaluated.

It can't read the viewer's environment, reach the terminal with escape sequences, put markup into a report, or
write outside its folder, and what can't be shown is a sentence.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from rlvr.cli.main import main
from rlvr.files.run_directory import describe
from tests.attack.damage import PLACE, train
from tests.attack.outcomes import Attempt, Outcome, Tally, attempt, copy_tree, spread, tally

SECRET = "a-key-of-the-viewer"
ESCAPE = "\x1b[2J\x1b]0;title\x07[red]<script>alert(1)</script>"
Change = Callable[[Path], None]


def config(old: str, new: str) -> Change:
    """config.yaml with the first line that begins with `old` replaced."""

    def change(run: Path) -> None:
        file = run / "config.yaml"
        lines = file.read_text().splitlines()
        place = next(i for i, line in enumerate(lines) if line.strip().startswith(old))
        indent = len(lines[place]) - len(lines[place].lstrip())
        lines[place] = " " * indent + new
        file.write_text("\n".join(lines) + "\n")

    return change


def entries(name: str, **changes: Any) -> Change:
    """A JSON file with entries set; unsealed, as whoever wants to can have it."""

    def change(run: Path) -> None:
        file = run / name
        content = json.loads(file.read_text()) | changes
        content.pop("blake2b", None)
        file.write_text(json.dumps(content))

    return change


def within(name: str, *path: str | int, value: Any) -> Change:
    """A JSON file with one entry deep in it set."""

    def change(run: Path) -> None:
        file = run / name
        content = json.loads(file.read_text())
        content.pop("blake2b", None)
        inner = content
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        file.write_text(json.dumps(content))

    return change


def line(name: str, **changes: Any) -> Change:
    """The last line of a log with entries set, and the summary made to say that it is so."""

    def change(run: Path) -> None:
        file = run / name
        lines = file.read_text().splitlines()
        lines[-1] = json.dumps(json.loads(lines[-1]) | changes)
        file.write_text("\n".join(lines) + "\n")
        claimed(run, name)

    return change


def text(name: str, content: str | bytes) -> Change:
    def change(run: Path) -> None:
        (run / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        claimed(run, name)

    return change


def claimed(run: Path, name: str) -> None:
    """The summary, which has a digest of what tables are made of, after the file was changed."""
    if name in ("summary.json", "provenance.json", "progress.json", "config.yaml"):
        return
    summary = json.loads((run / "summary.json").read_text())
    if name in summary["files"]:
        summary["files"][name] = describe(run / name)
        entries("summary.json", files=summary["files"])(run)


def column(name: str, values: Callable[[list], list]) -> Change:
    """Another column in the samples."""

    def change(run: Path) -> None:
        file = next((run / "evaluation").glob("*.parquet"))
        table = pq.read_table(file)
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, [values(table[name].to_pylist())])
        pq.write_table(table, file)
        claimed(run, str(file.relative_to(run)))

    return change


def all_of(value: Any) -> Callable[[list], list]:
    return lambda values: [value] * len(values)


def renamed(run: Path) -> None:
    """A benchmark whose name is a path out of the folder."""
    name = "../../../../escaped"
    file = run / "config.yaml"
    file.write_text(file.read_text().replace("countdown_3:", f"{name}:"))
    summary = json.loads((run / "summary.json").read_text())
    entries("summary.json", evaluation={name: summary["evaluation"]["countdown_3"]})(run)


DEEP = "[" * 100_000 + "]" * 100_000
LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(24)
)
STRANGE: dict[str, Change] = {
    "as it is": lambda run: None,
    "an experiment that looks up a key": config("experiment:", "experiment: ${oc.env:ATTACK_KEY}"),
    "an arm that looks up a key": config("arm:", "arm: ${oc.env:ATTACK_KEY}"),
    "runs that look up a key": config("runs:", "runs: ${oc.env:ATTACK_KEY}"),
    "a path that looks up a key": config("path:", "path: ${oc.env:ATTACK_KEY}"),
    "a list that looks up a key": config("k:", "k: ${oc.decode:${oc.env:ATTACK_KEY}}"),
    "an interpolation within a name": config("arm:", "arm: ${seed}${oc.env:ATTACK_KEY}"),
    "an arm outside": config("arm:", "arm: ../../../escaped"),
    "an experiment elsewhere": config("experiment:", "experiment: /tmp/escaped"),
    "runs elsewhere": config("runs:", "runs: /tmp/escaped"),
    "a benchmark outside": renamed,
    "an arm of escapes": config("arm:", 'arm: "\\e[2J\\e]0;title\\a[red]"'),
    "an experiment of escapes": config("experiment:", 'experiment: "\\e[2J[/x]<script>alert(1)</script>"'),
    "a model of escapes": config("path:", 'path: "\\e[2J[/x]"'),
    "an object of Python": config("arm:", "arm: !!python/object/apply:os.system [touch /tmp/escaped]"),
    "a target": config("arm:", "arm: {_target_: os.system}"),
    "a billion laughs": text("config.yaml", LAUGHS),
    "a config of brackets": text("config.yaml", DEEP),
    "a config that is a number": text("config.yaml", "7\n"),
    "a config that is nothing": text("config.yaml", "\n"),
    "a config that is a list": text("config.yaml", "- 1\n"),
    "a config in latin-1": text("config.yaml", b"arm: \xe9\n"),
    "a seed of text": config("seed:", "seed: many"),
    "a seed of no number": config("seed:", "seed: .nan"),
    "an arm of escapes in the summary": entries("summary.json", arm=ESCAPE),
    "an arm of markup in the summary": entries("summary.json", arm="[/x][link=file:///etc/passwd]"),
    "an arm that is a list": entries("summary.json", arm=["a"]),
    "a status of escapes": entries("summary.json", status=ESCAPE),
    "a status that is a number": entries("summary.json", status=3),
    "files outside": entries("summary.json", files={"evaluation/../../../x.parquet": {"rows": 1}}),
    "files without digests": entries("summary.json", files={"metrics.jsonl": {}}),
    "files that are a list": entries("summary.json", files=[]),
    "a benchmark of escapes": within("summary.json", "evaluation", ESCAPE, value={
        "domain": ESCAPE, "problems": 1, "samples": 8, "unscorable": {}, "pass@k": {"1": 0.5}}),
    "an evaluation of texts": within("summary.json", "evaluation", "countdown_3", value="good"),
    "an evaluation without k": within("summary.json", "evaluation", "countdown_3", "pass@k", value={}),
    "an evaluation with k of text": within(
        "summary.json", "evaluation", "countdown_3", "pass@k", value={"many": 0.5}),
    "an evaluation of NaN": within(
        "summary.json", "evaluation", "countdown_3", "pass@k", "1", value=float("nan")),
    "an evaluation of nothing": entries("summary.json", evaluation={}),
    "tokens of text": within("summary.json", "tokens", "sampled", value="many"),
    "tokens without number": within("summary.json", "tokens", "sampled", value=float("nan")),
    "seconds of text": within("summary.json", "seconds", "training", value=ESCAPE),
    "seconds without stages": entries("summary.json", seconds={}),
    "a step of text": entries("summary.json", checkpoint_step="last"),
    "a step that is not there": entries("summary.json", checkpoint_step=999),
    "a summary of brackets": text("summary.json", '{"a": ' + DEEP + "}"),
    "a command of escapes": entries("provenance.json", command=ESCAPE),
    "a commit of escapes": entries("provenance.json", git={"commit": ESCAPE}),
    "a commit of a number": entries("provenance.json", git={"commit": 7}),
    "no starts": entries("provenance.json", started=[]),
    "starts of numbers": entries("provenance.json", started=[3]),
    "packages of escapes": entries("provenance.json", packages={ESCAPE: ESCAPE}),
    "packages of packages": entries("provenance.json", packages={"torch": {"a": [None]}}),
    "a provenance of nothing": text("provenance.json", "{}"),
    "a stage of escapes": entries("progress.json", stage=ESCAPE),
    "progress beyond its end": entries("progress.json", stage="training", done=9, total=4),
    "progress below its start": entries("progress.json", stage="training", done=-9, total=-4),
    "progress of an infinity": text(
        "progress.json", '{"stage": "training", "done": 1e999, "total": 1, "time": 1}'),
    "progress of texts": entries("progress.json", stage="training", done="a", total="b"),
    "progress that is a list": text("progress.json", "[]"),
    "metrics of escapes": line("metrics.jsonl", **{ESCAPE: 1.0}),
    "metrics of texts": line("metrics.jsonl", **{"reward/mean": "good"}),
    "metrics of NaN": line("metrics.jsonl", **{"reward/mean": float("nan"), "loss": float("inf")}),
    "metrics of null": line("metrics.jsonl", **{"reward/mean": None}),
    "metrics of lists": line("metrics.jsonl", **{"reward/mean": [1]}),
    "metrics of huge numbers": line("metrics.jsonl", **{"reward/mean": 10**400}),
    "a step of text in the metrics": line("metrics.jsonl", step="four"),
    "metrics without what they had": text(
        "metrics.jsonl", "".join(f'{{"step": {i}}}\n' for i in (1, 2, 3, 4))),
    "timing of texts": line("timing.jsonl", **{"seconds/step": "long"}),
    "timing of less than nothing": line("timing.jsonl", **{"seconds/step": -1e308}),
    "validation of texts": line("validation.jsonl", **{"countdown_3": "good"}),
    "validation of nothing": text("validation.jsonl", '{"step": 2}\n{"step": 4}\n'),
    "rollouts of nothing": text("rollouts.jsonl", '{"step": 1}\n'),
    "rollouts without groups": line("rollouts.jsonl", groups=[]),
    "groups that are numbers": line("rollouts.jsonl", groups=[7]),
    "groups of nothing": line("rollouts.jsonl", groups=[{}]),
    "completions of nothing": line("rollouts.jsonl", groups=[{"prompt": ESCAPE, "completions": [{}]}]),
    "rollouts of NaN": line("rollouts.jsonl", reward=float("nan")),
    "rollouts of brackets": text("rollouts.jsonl", '{"step": 1, "groups": ' + DEEP + "}\n"),
    "an empty log of rollouts": text("rollouts.jsonl", ""),
    "texts of escapes": column("text", all_of(ESCAPE)),
    "verdicts of escapes": column("verdict", all_of(ESCAPE)),
    "verdicts that are null": column("verdict", all_of(None)),
    "problems of escapes": column("problem_id", all_of(ESCAPE)),
    "verdicts that are numbers": column("verdict", all_of(1)),
    "tokens that are texts": column("num_tokens", all_of("many")),
}  # fmt: skip
for _stored in ("samples", "rollouts"):
    STRANGE[f"{_stored} full of markup"] = (
        column("text", all_of("</script><script>alert(1)</script>" * 9))
        if _stored == "samples"
        else lambda run: text(
            "rollouts.jsonl",
            (run / "rollouts.jsonl")
            .read_text()
            .replace('"prompt": "', '"prompt": "</script><script>alert(1)'),
        )(run)
    )
VERBS: dict[str, Callable[[Path], list[str]]] = {
    "watch": lambda run: ["watch", str(run), "--once"],
    "report": lambda run: ["report", str(run), f"file={run / 'report.html'}"],
    "evaluate": lambda run: ["evaluate", f"run={run}"],
}


def outcome_of(result: Attempt, run: Path, before: set[Path]) -> Outcome:
    """SAID where all is shown and nothing escapes."""
    if (failure := result.failure) not in (None, Outcome.SENTENCE):
        return failure
    page = run / "report.html"
    written = page.read_text(errors="replace") if page.exists() else ""
    below = {path for path in run.parents[3].rglob("*") if run not in path.parents and path != run}
    escapes = "\x1b" in result.output or "\x07" in result.output or "<script>alert(1)" in written
    if SECRET in result.output + written or escapes or below != before or Path("/tmp/escaped").exists():
        return Outcome.SILENT
    return failure or Outcome.SAID


def judged(whole: Path, about: int | None) -> Iterator[tuple[str, Outcome, str]]:
    os.environ["ATTACK_KEY"] = SECRET
    for name, change in spread(STRANGE.items(), about):
        for verb, arguments in VERBS.items():
            with tempfile.TemporaryDirectory() as folder:
                place = Path(folder) / "runs"
                copy_tree(whole, place)
                run = place / PLACE
                change(run)
                before = {path for path in Path(folder).rglob("*") if run not in path.parents and path != run}
                tried = attempt(lambda run=run, arguments=arguments: main(arguments(run)), 60)
                yield f"{name}: {verb}", outcome_of(tried, run, before), tried.output


def strangers_runs(about: int | None = None) -> Tally:
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder)
        assert attempt(lambda: train(whole), 120).status == 0
        return tally("strangers' runs", judged(whole, about))
