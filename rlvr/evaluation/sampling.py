"""Evaluation: n samples of every problem of every benchmark, written shard by shard.

A shard is a few problems with all their samples, small enough that little is lost when an evaluation is
killed; what is written is not sampled again. When a benchmark has all its shards they become one file.

Every file says in its metadata what its samples depend on (`samples_key`). `<benchmark>.parquet` is the last
evaluation; shards, and evaluations with other keys, are beside it in folders named after their key. Where
only what judges the samples has changed, those that are there are judged again: see `with_earlier`.
"""

import glob
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rlvr.config.registry import takes
from rlvr.data import Completion, Group, Problem
from rlvr.errors import UserError, say
from rlvr.evaluation.samples_key import difference, key_name, questions_of, sampled_part, samples_key
from rlvr.files.atomic import file_digest, user_errors_for
from rlvr.files.run_files import damage_as_sentence
from rlvr.functions import source
from rlvr.rollout.engine import RolloutEngine, Sampling
from rlvr.verification import verify
from rlvr.verification.grading import grade, is_graded

KEY, QUESTIONS, DIGEST = b"rlvr.samples_key", b"rlvr.questions", b"rlvr.rows"  # in a file's metadata
UNREADABLE = (pa.ArrowException, OSError, ValueError, KeyError)  # what reading a damaged Parquet file raises
SCHEMA = pa.schema(
    [
        ("problem_id", pa.string()),
        ("sample", pa.int32()),
        ("verdict", pa.string()),
        ("text", pa.string()),
        ("num_tokens", pa.int32()),
        ("finish_reason", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Shard:
    """Some problems of a benchmark, and the file their samples go to.

    Attributes:
        earlier: where their samples are as another judge judged them, in a shard or a whole benchmark.
    """

    problems: tuple[Problem, ...]
    file: Path
    seed: int
    earlier: Path | None = None


def plan_shards(
    name: str, problems: Sequence[Problem], *, samples: int, samples_per_shard: int, seed: int, folder: Path
) -> list[Shard]:
    """All shards of a benchmark, whether or not they are there already."""
    size = max(1, samples_per_shard // samples)
    return [
        Shard(
            tuple(problems[start : start + size]),
            folder / f"{start:06d}.parquet",
            zlib.crc32(f"{seed}/{name}/{start}".encode()),
        )
        for start in range(0, len(problems), size)
    ]


def sample_benchmarks(
    engine: RolloutEngine,
    benchmarks: Mapping[str, Sequence[Problem]],
    *,
    samples: int,
    sampling: Sampling,
    seed: int,
    folder: Path,
    samples_per_shard: int = 16384,
    made_with: dict[str, Any] | None = None,
    reward: Any = None,
    elsewhere: Sequence[Path] = (),
    report: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Path]:
    """Sample what is missing; returns the file of each benchmark, one row a sample.

    Columns: problem_id, sample (0 to n - 1), verdict, text, num_tokens, finish_reason.

    Args:
        made_with: what the samples depend on besides the other arguments: see `samples_key`.
        reward: the config's; where it grades the samples, they have a column `reward`.
        elsewhere: further folders, whose samples are judged again where only their judge is another.
    """
    settings = {"samples": samples, "samples_per_shard": samples_per_shard, "seed": seed}
    keys = {
        name: samples_key(name, problems, sampling=sampling, made_with=made_with or {}, **settings)
        for name, problems in benchmarks.items()
    }
    questions = {name: questions_of(problems) for name, problems in benchmarks.items()}
    files = {name: folder / f"{name}.parquet" for name in benchmarks}
    shards: dict[str, list[Shard]] = {}
    for name, problems in benchmarks.items():
        if not take_up(files[name], keys[name], problems, samples):
            place = folder / key_name(keys[name]) / f"{name}.shards"
            parts = plan_shards(name, problems, folder=place, **settings)
            asked = None if takes_tokens(reward) else questions[name]
            shards[name] = with_earlier(parts, files[name], keys[name], asked, samples, elsewhere)
    say_what_is_there(files, keys, shards)
    wanted = [(name, shard) for name, parts in shards.items() for shard in parts]
    for done, (name, shard) in enumerate(wanted):
        report(done, len(wanted))
        if not is_whole(shard.file, keys[name], shard.problems, samples):
            if shard.earlier:
                groups = earlier_groups(shard, shard.earlier, samples)
            else:
                requests = [(problem, samples) for problem in shard.problems]
                groups = engine.generate(requests, sampling, seed=shard.seed)
            verify(groups)
            grade(groups, reward)
            write_samples(groups, shard.file, keys[name], questions[name])
            del groups  # whose tokens may be gigabytes, before the next ones come
    report(len(wanted), len(wanted))
    for name, parts in shards.items():
        place = parts[0].file.parents[1]
        table = pa.concat_tables([pq.read_table(shard.file) for shard in parts])
        write_rows(table, place / f"{name}.parquet", keys[name], questions[name])
        shutil.rmtree(parts[0].file.parent)
        replace_by(files[name], place / f"{name}.parquet")
    return files


def take_up(file: Path, key: dict[str, Any], problems: Sequence[Problem], samples: int) -> bool:
    """Whether a benchmark's samples are there, or were set aside with the same key and are there again."""
    if file.exists() and not file.is_file():
        raise UserError(f"{file} is no file: remove it, and it is measured again")
    if is_whole(file, key, problems, samples):
        shutil.rmtree(file.parent / key_name(key) / f"{file.stem}.shards", ignore_errors=True)
        return True
    if key_of(file) == key:
        say(f"{file} is damaged: measuring it again")
        file.unlink()
    aside = file.parent / key_name(key) / file.name
    if is_whole(aside, key, problems, samples):
        replace_by(file, aside)
        return True
    return False


def with_earlier(
    shards: Sequence[Shard],
    file: Path,
    key: dict[str, Any],
    questions: str | None,
    samples: int,
    elsewhere: Sequence[Path] = (),
) -> list[Shard]:
    """The shards of a benchmark, each with where its samples are if only what judges them was another.

    A whole evaluation has those of all shards, be it the last one or set aside. Of broken-off evaluations,
    which may have some, it is said in what they differ.

    Args:
        file: of the benchmark's samples.
        questions: `questions_of` its problems; None where samples can't be judged again from their texts.
        elsewhere: folders that are looked through after the file's own.
    """
    folders = [file.parent, *elsewhere]

    def fits(other: Path, problems: int) -> bool:
        if questions is None or (before := key_of(other)) is None:
            return False
        asked = note_of(other, QUESTIONS)  # None in a file of an older version
        if sampled_part(before, asked) != sampled_part(key, asked and questions):
            return False
        return [sample for _, sample in rows_in(other)] == [*range(samples)] * problems

    name, total = glob.escape(file.stem), sum(len(shard.problems) for shard in shards)
    candidates = [file, *(other for place in folders for other in sorted(place.glob(f"**/{name}.parquet")))]
    whole = next((other for other in candidates if fits(other, total)), None)
    earlier = dict.fromkeys((shard.file for shard in shards), whole)
    for other in (other for place in folders for other in sorted(place.glob(f"**/{name}.shards"))):
        if other.parent.name != key_name(key):
            lacking = [shard for shard in shards if earlier[shard.file] is None]
            parts = [(shard, other / shard.file.name) for shard in lacking]
            found = {shard.file: part for shard, part in parts if fits(part, len(shard.problems))}
            earlier |= found
            reason = how_made(next(other.glob("*.parquet"), other), key)
            use = "its samples are judged again, and it" if found else "it is not used, and"
            say(f"{other}, of a broken-off evaluation, {reason}: {use} stays")
    return [replace(shard, earlier=earlier[shard.file]) for shard in shards]


def say_what_is_there(
    files: Mapping[str, Path], keys: Mapping[str, dict[str, Any]], shards: Mapping[str, Sequence[Shard]]
) -> None:
    """Say of the benchmarks that samples are to be made for how those that are there were made."""
    said: dict[tuple[Path, str, str, str], list[str]] = {}
    for name, (first, *_) in shards.items():
        file, doing, where = files[name], "measuring anew", "go to folders of their own there"
        if first.earlier and first.earlier.name == file.name:
            doing, where = "judging again", where if first.earlier == file else "stay"
            file = first.earlier
        if file.exists():
            said.setdefault((file.parent, how_made(file, keys[name]), doing, where), []).append(name)
    for (place, reason, doing, where), names in said.items():
        say(f"{place}: what is there {reason}: {doing} {', '.join(names)}; the old samples {where}")


def earlier_groups(shard: Shard, file: Path, samples: int) -> list[Group]:
    """The completions of a shard as they were sampled before, to be judged; their tokens are but counted.

    Args:
        file: with those of the whole benchmark, or of this shard alone.
    """
    start = 0 if file.name == shard.file.name else int(shard.file.stem) * samples
    columns = ["num_tokens", "text", "finish_reason"]
    rows = pq.read_table(file, columns=columns).slice(start, len(shard.problems) * samples)
    completions = [
        Completion([0] * tokens, [], text, finish_reason, 0)
        for tokens, text, finish_reason in zip(*(rows[name].to_pylist() for name in columns), strict=True)
    ]
    return [
        Group(problem, [], completions[number * samples : (number + 1) * samples])
        for number, problem in enumerate(shard.problems)
    ]


def takes_tokens(reward: Any) -> bool:
    """Whether a reward asks for the tokens of completions, which a file of samples does not have."""
    if not is_graded(reward):
        return False
    if reward.name != "python":
        return "token_ids" in takes("graders", reward.name)
    function, offers = source.FileFunction.of(reward.function), source.REWARD_OFFERS
    given = {"offers": offers, "parameters": reward.parameters or {}, "key": "reward"}
    return "token_ids" in source.takes(function, function.source(), **given)


def how_made(file: Path, key: dict[str, Any]) -> str:
    """How the making of a file's samples differs from a key."""
    if before := key_of(file):
        return f"was made with {difference(before, key)}"
    return "does not say how it was made (it is damaged, or of an older version)"


def replace_by(file: Path, new: Path) -> None:
    """Put a file in the place of another, which goes to a folder named after its key or its digest."""
    if file.exists():
        key = key_of(file)
        old = file.parent / (key_name(key) if key else f"unknown-{file_digest(file)[:16]}") / file.name
        old.parent.mkdir(exist_ok=True)
        os.replace(file, old)
    os.replace(new, file)
    if not any(new.parent.iterdir()):
        new.parent.rmdir()


def key_of(file: Path) -> dict[str, Any] | None:
    """What the samples in a file depend on; None where the file does not say."""
    return note_of(file, KEY)


def note_of(file: Path, name: bytes) -> Any:
    """What the metadata of a file of samples says; None where it says nothing."""
    if not file.is_file():
        return None
    try:
        return json.loads((pq.read_schema(file).metadata or {}).get(name, b"null"))
    except UNREADABLE:
        return None


def write_samples(
    groups: Sequence[Group], file: Path, key: dict[str, Any], questions: str | None = None
) -> None:
    """One row a sample, with the key in the metadata; written aside and renamed."""
    rows = [
        (
            group.problem.id,
            sample,
            str(verdict),
            completion.text,
            len(completion.token_ids),
            completion.finish_reason,
        )
        for group in groups
        for sample, (completion, verdict) in enumerate(zip(group.completions, group.verdicts, strict=True))
    ]
    table = pa.table([list(column) for column in zip(*rows, strict=True)], schema=SCHEMA)
    if groups[0].rewards:
        rewards = [None if isnan(reward) else reward for group in groups for reward in group.rewards]
        table = table.append_column("reward", pa.array(rewards, pa.float64()))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_rows(table, file, key, questions)


def write_rows(table: pa.Table, file: Path, key: dict[str, Any], questions: str | None = None) -> None:
    """Samples, with what they depend on and a digest of their own in the metadata.

    Args:
        questions: `questions_of` the benchmark's problems.
    """
    notes = {KEY: json.dumps(key), QUESTIONS: json.dumps(questions), DIGEST: rows_digest(table.to_batches())}
    write_parquet(file, table.replace_schema_metadata(notes))


def rows_digest(batches: Iterable[pa.RecordBatch]) -> str:
    """Of all values, row by row: Parquet's own checksums leave out what its footer says of the columns."""
    digest = hashlib.blake2b(digest_size=16)
    for batch in batches:
        further = [name for name in batch.schema.names if name not in SCHEMA.names]
        for row in zip(*(batch[name].to_pylist() for name in [*SCHEMA.names, *further]), strict=True):
            digest.update(repr(row).encode())
    return digest.hexdigest()


def sampled_tokens(file: Path) -> int:
    """How many tokens the samples of a benchmark are."""
    with damage_as_sentence(file):
        return pc.sum(pq.read_table(file, columns=["num_tokens"])["num_tokens"].cast(pa.int64())).as_py()


def verdict_shares(file: Path) -> dict[str, float]:
    """What share of the samples of a benchmark was judged how, the commonest verdict first."""
    verdicts = pq.read_table(file, columns=["verdict"])["verdict"].to_pandas()
    return verdicts.value_counts(normalize=True).to_dict()


def write_parquet(file: Path, table: pa.Table) -> None:
    """Written aside, then renamed."""
    aside = file.with_name(f".{file.name}.partial")
    with user_errors_for(file):
        pq.write_table(table, aside, compression="zstd")
        os.replace(aside, file)


def is_whole(file: Path, key: dict[str, Any], problems: Sequence[Problem], samples: int) -> bool:
    """Whether a file has all samples of some problems, undamaged and made as the key says."""
    if not file.exists() or key_of(file) != key:
        return False
    return rows_in(file) == [(problem.id, sample) for problem in problems for sample in range(samples)]


def rows_in(file: Path) -> list[tuple[str, int]]:
    """The problem and the number of each sample in a file; none where it is damaged."""
    found: list[tuple[str, int]] = []
    try:
        parquet = pq.ParquetFile(file)
        if rows_digest(parquet.iter_batches(4096)) != parquet.schema_arrow.metadata[DIGEST].decode():
            return []
        for batch in parquet.iter_batches(4096, columns=["problem_id", "sample"]):
            found += zip(batch["problem_id"].to_pylist(), batch["sample"].to_pylist(), strict=True)
    except UNREADABLE:
        return []
    return found
