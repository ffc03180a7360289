"""Evaluation: n samples of every problem of every benchmark, written shard by shard.

A shard is a few problems with all their samples, small enough that little is lost when an evaluation is
killed; what is written is not sampled again. When a benchmark has all its shards they become one file.
"""

import os
import shutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rlvr.data import Group, Problem
from rlvr.files.atomic import user_errors_for
from rlvr.rollout.engine import RolloutEngine, Sampling
from rlvr.verification import verify


@dataclass(frozen=True, slots=True)
class Shard:
    """Some problems of a benchmark, and the file their samples go to."""

    benchmark: str
    problems: tuple[Problem, ...]
    file: Path
    seed: int


def plan_shards(
    benchmarks: Mapping[str, Sequence[Problem]],
    *,
    samples: int,
    samples_per_shard: int,
    seed: int,
    folder: Path,
) -> list[Shard]:
    """All shards of an evaluation, whether or not they are there already."""
    size = max(1, samples_per_shard // samples)
    return [
        Shard(
            name,
            tuple(problems[start : start + size]),
            folder / f"{name}.shards" / f"{start:06d}.parquet",
            zlib.crc32(f"{seed}/{name}/{start}".encode()),
        )
        for name, problems in benchmarks.items()
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
    report: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Path]:
    """Sample what is missing; returns the file of each benchmark, one row a sample.

    Columns: problem_id, sample (0 to n - 1), verdict, text, num_tokens, finish_reason.
    """
    files = {name: folder / f"{name}.parquet" for name in benchmarks}
    wanted = {name: problems for name, problems in benchmarks.items() if not is_whole(files[name])}
    for name in benchmarks.keys() - wanted.keys():
        shutil.rmtree(folder / f"{name}.shards", ignore_errors=True)  # of one killed while it cleaned up
    shards = plan_shards(
        wanted, samples=samples, samples_per_shard=samples_per_shard, seed=seed, folder=folder
    )
    for done, shard in enumerate(shards):
        report(done, len(shards))
        if not is_whole(shard.file):
            groups = engine.generate(
                [(problem, samples) for problem in shard.problems], sampling, seed=shard.seed
            )
            verify(groups)
            write_samples(groups, shard.file)
    report(len(shards), len(shards))
    for name in wanted:
        parts = [shard.file for shard in shards if shard.benchmark == name]
        write_parquet(files[name], pa.concat_tables([pq.read_table(part) for part in parts]))
        shutil.rmtree(parts[0].parent)
    return files


def write_samples(groups: Sequence[Group], file: Path) -> None:
    """One row a sample, written aside and renamed."""
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
    columns = [list(column) for column in zip(*rows, strict=True)]
    schema = pa.schema(
        [
            ("problem_id", pa.string()),
            ("sample", pa.int32()),
            ("verdict", pa.string()),
            ("text", pa.string()),
            ("num_tokens", pa.int32()),
            ("finish_reason", pa.string()),
        ]
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    write_parquet(file, pa.table(columns, schema=schema))


def sampled_tokens(file: Path) -> int:
    """How many tokens the samples of a benchmark are."""
    return pc.sum(pq.read_table(file, columns=["num_tokens"])["num_tokens"]).as_py()


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


def is_whole(file: Path) -> bool:
    """Whether samples are there and readable; a file that was cut short is made again."""
    if not file.exists():
        return False
    try:
        pq.read_metadata(file)
    except (pa.ArrowInvalid, OSError):
        return False
    return True
