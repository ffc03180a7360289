"""Damage to one file of a run, finished or half done, before the same command is given again."""

import json
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from rlvr.cli.main import main
from tests.attack.outcomes import Outcome, Tally, attempt, copy_tree, spread, tally

RUN = [
    "scale=smoke",
    "tracking=local",
    "benchmark=countdown_3",
    "benchmark.tasks.countdown_3.size=6",
    "training.steps=4",
    "training.checkpoint_every=2",
    "training.prompts_per_step=8",
    "training.mini_batch_prompts=4",
    "training.learning_rate=1e-3",
    "evaluation.samples=8",
    "evaluation.k=[1,2,4,8]",
    "evaluation.samples_per_shard=16",
    "experiment=attacked",
    "arm=tiny",
]
PLACE = Path("attacked/tiny/seed-1")
# what tables and reports are made of, to the bit; timing, progress and provenance hold times
NUMBERS = ("metrics.jsonl", "validation.jsonl", "accuracy.jsonl")
RESULTS = ("evaluation", "checkpoint_step", "tokens", "flops", "status", "trained_steps")


def removed(file: Path, rng: random.Random) -> None:
    file.unlink()


def emptied(file: Path, rng: random.Random) -> None:
    file.write_bytes(b"")


def halved(file: Path, rng: random.Random) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def zeroed(file: Path, rng: random.Random) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def one_bit(file: Path, rng: random.Random) -> None:
    content = bytearray(file.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)


def null(file: Path, rng: random.Random) -> None:
    file.write_text("null\n")


def braces(file: Path, rng: random.Random) -> None:
    file.write_text("{}\n")


def last_line_twice(file: Path, rng: random.Random) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines, lines[-1]]))


def last_line_lost(file: Path, rng: random.Random) -> None:
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))


def a_line_of_nul(file: Path, rng: random.Random) -> None:
    file.write_bytes(file.read_bytes() + bytes(64) + b"\n")


def one_byte_short(file: Path, rng: random.Random) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def bytes_after_the_end(file: Path, rng: random.Random) -> None:
    file.write_bytes(file.read_bytes() + b"rubbish")


def a_folder(file: Path, rng: random.Random) -> None:
    file.unlink()
    file.mkdir()


def a_digit_changed(file: Path, rng: random.Random) -> None:
    """Good JSON or YAML with another number in it."""
    content = bytearray(file.read_bytes())
    places = [place for place, byte in enumerate(content) if chr(byte).isdigit()]
    if places:
        place = rng.choice(places)
        content[place] = ord("1") if content[place] != ord("1") else ord("2")
    file.write_bytes(content)


def first_lines_swapped(file: Path, rng: random.Random) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[1:2], *lines[:1], *lines[2:]]))


def first_line_lost(file: Path, rng: random.Random) -> None:
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[1:]))


ANYWHERE = (removed, emptied, halved, zeroed, one_bit, one_byte_short, bytes_after_the_end, a_folder)
KINDS: dict[str, tuple[Callable[[Path, random.Random], None], ...]] = {
    ".jsonl": (
        *(*ANYWHERE, last_line_twice, last_line_lost, a_line_of_nul),
        *(first_lines_swapped, first_line_lost, a_digit_changed),
    ),
    ".json": (*ANYWHERE, null, braces, a_digit_changed),
    ".yaml": (*ANYWHERE, null, braces, a_digit_changed),
}


def train(runs: Path, *further: str) -> None:
    main(["train", *RUN, f"runs={runs}", *further])


def numbers(runs: Path) -> dict[str, object] | None:
    """What a table of the run would be made of; None where that can't be read."""
    run = runs / PLACE
    try:
        summary = json.loads((run / "summary.json").read_text())
        files = {name: (run / name).read_bytes() for name in NUMBERS}
        samples = {file.name: file.read_bytes() for file in (run / "evaluation").glob("*.parquet")}
        return files | samples | {key: summary[key] for key in RESULTS}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def cases(whole: Path, rounds: int) -> Iterator[tuple[Path, Callable]]:
    """Every file of a run with every damage of its kind; `rounds` random bits of each."""
    files = sorted(file for file in whole.rglob("*") if file.is_file() and file.name != "lock")
    for file in files:
        if file.stat().st_size == 0:
            continue
        for damage in KINDS.get(file.suffix, ANYWHERE):
            for _ in range(rounds if damage is one_bit else 1):
                yield file, damage


def judged(
    state: str, whole: Path, expected: dict[str, object], rounds: int, about: int | None
) -> Iterator[tuple[str, Outcome, str]]:
    """Damage a copy of `whole`, give the command again and a report after it; the outcome of each case."""
    rng = random.Random(0)
    for file, damage in spread(cases(whole, rounds), about):
        place = Path(tempfile.mkdtemp(prefix="rlvr-attack-"))
        copy_tree(whole, place)
        damage(place / file.relative_to(whole), rng)
        name = f"{state} {file.relative_to(whole / PLACE)} {damage.__name__}"

        def again(place: Path = place) -> None:
            train(place)
            main(["report", str(place / PLACE), f"file={place / 'report.html'}"])

        tried = attempt(again)
        outcome = tried.failure
        if outcome is None:
            same = numbers(place) == expected
            outcome = Outcome.SAME if same else Outcome.SAID if said(tried.output, file) else Outcome.SILENT
        yield name, outcome, tried.output
        shutil.rmtree(place, ignore_errors=True)


def said(output: str, file: Path) -> bool:
    return file.name in output or "damaged" in output


def finished_runs(about: int | None = None, rounds: int = 2) -> Tally:
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder)
        assert attempt(lambda: train(whole), 120).status == 0
        return tally("finished runs", judged("finished", whole, numbers(whole), rounds, about))


def half_done_runs(about: int | None = None, rounds: int = 2) -> Tally:
    """Broken off in the evaluation, where checkpoints, logs and the first shards are there."""
    with tempfile.TemporaryDirectory() as folder:
        whole, half = Path(folder) / "whole", Path(folder) / "half"
        assert attempt(lambda: train(whole), 120).status == 0
        assert attempt(lambda: break_off(half), 120).status == 0
        assert numbers(half) is None, "the run was not broken off"
        return tally("half-done runs", judged("half-done", half, numbers(whole), rounds, about))


def break_off(runs: Path) -> None:
    """Train, and end without a word after the second shard of the evaluation."""
    import os

    from rlvr.evaluation import sampling

    write, written = sampling.write_parquet, []

    def write_and_die(file: Path, *arguments, **named) -> None:
        write(file, *arguments, **named)
        written.append(file)
        if len(written) == 2:
            os._exit(0)

    sampling.write_parquet = write_and_die
    train(runs)
