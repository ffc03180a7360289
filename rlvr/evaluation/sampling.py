"""Evaluation: n samples of every problem of every benchmark, written shard by shard.

A shard is a few problems with all their samples, small enough that little is lost when an evaluation is
killed; what is written is not sampled again. When a benchmark has all its shards they become one file.

Every file says in its metadata what its samples depend on (`samples_key`). `<benchmark>.parquet` is the last
evaluation; shards, and evaluations with other keys, are beside it in folders named after their key.
"""

import glob
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rlvr.data import Group, Problem
from rlvr.errors import UserError, say
from rlvr.evaluation.samples_key import difference, key_name, samples_key
from rlvr.files.atomic import file_digest, user_errors_for
from rlvr.files.run_files import damage_as_sentence
from rlvr.rollout.engine import RolloutEngine, Sampling
from rlvr.verification import verify
from rlvr.verification.grading import grade

KEY, DIGEST = b"rlvr.samples_key", b"rlvr.rows"  # in a file's metadata
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
    """Some problems of a benchmark, and the file their samples go to."""

    problems: tuple[Problem, ...]
    file: Path
    seed: int


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
    report: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Path]:
    """Sample what is missing; returns the file of each benchmark, one row a sample.

    Columns: problem_id, sample (0 to n - 1), verdict, text, num_tokens, finish_reason.

    Args:
        made_with: what the samples depend on besides the other arguments: see `samples_key`.
        reward: the config's; where it grades the samples, they have a column `reward`.
    """
    settings = {"samples": samples, "samples_per_shard": samples_per_shard, "seed": seed}
    keys = {
        name: samples_key(name, problems, sampling=sampling, made_with=made_with or {}, **settings)
        for name, problems in benchmarks.items()
    }
    files = {name: folder / f"{name}.parquet" for name in benchmarks}
    shards: dict[str, list[Shard]] = {}
    anew: dict[str, list[str]] = {}
    for name, problems in benchmarks.items():
        if not take_up(files[name], keys[name], problems, samples):
            if files[name].exists():
                anew.setdefault(how_made(files[name], keys[name]), []).append(name)
            place = folder / key_name(keys[name]) / f"{name}.shards"
            shards[name] = plan_shards(name, problems, folder=place, **settings)
    for reason, names in anew.items():
        say(
            f"{folder}: what is there {reason}: measuring anew {', '.join(names)}; the old samples go to "
            "folders of their own there"
        )
    done, total = 0, sum(map(len, shards.values()))
    for name, parts in shards.items():
        for shard in parts:
            report(done, total)
            done += 1
            if not is_whole(shard.file, keys[name], shard.problems, samples):
                asked = [(problem, samples) for problem in shard.problems]
                groups = engine.generate(asked, sampling, seed=shard.seed)
                verify(groups)
                grade(groups, reward)
                write_samples(groups, shard.file, keys[name])
                del groups  # whose tokens may be gigabytes, before the next ones come
    report(total, total)
    for name, parts in shards.items():
        place = parts[0].file.parents[1]
        table = pa.concat_tables([pq.read_table(shard.file) for shard in parts])
        write_rows(table, place / f"{name}.parquet", keys[name])
        shutil.rmtree(parts[0].file.parent)
        replace_by(files[name], place / f"{name}.parquet")
    return files


def take_up(file: Path, key: dict[str, Any], problems: Sequence[Problem], samples: int) -> bool:
    """Whether a benchmark's samples are there, or were set aside with the same key and are there again.

    Of those of a broken-off evaluation that differ it is said in what.
    """
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
    for other in sorted(file.parent.glob(f"**/{glob.escape(file.stem)}.shards")):
        if other.parent.name != key_name(key):
            reason = how_made(next(other.glob("*.parquet"), other), key)
            say(f"{other}, of a broken-off evaluation, {reason}: it is not used, and stays")
    return False


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
    if not file.is_file():
        return None
    try:
        return json.loads((pq.read_schema(file).metadata or {}).get(KEY, b"null"))
    except UNREADABLE:
        return None


def write_samples(groups: Sequence[Group], file: Path, key: dict[str, Any]) -> None:
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
    write_rows(table, file, key)


def write_rows(table: pa.Table, file: Path, key: dict[str, Any]) -> None:
    """Samples, with what they depend on and a digest of their own in the metadata."""
    digest = rows_digest(table.to_batches())
    write_parquet(file, table.replace_schema_metadata({KEY: json.dumps(key), DIGEST: digest}))


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
    found: list[tuple[str, int]] = []
    try:
        parquet = pq.ParquetFile(file)
        if rows_digest(parquet.iter_batches(4096)) != parquet.schema_arrow.metadata[DIGEST].decode():
            return False
        for batch in parquet.iter_batches(4096, columns=["problem_id", "sample"]):
            found += zip(batch["problem_id"].to_pylist(), batch["sample"].to_pylist(), strict=True)
    except UNREADABLE:
        return False
    return found == [(problem.id, sample) for problem in problems for sample in range(samples)]
