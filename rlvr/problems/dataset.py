"""Problems from a data set: on the hub, at an address, or in a local JSONL or Parquet file.

What a data set calls its fields, how many rows it must have and what is left out of it stand in its YAML
file. Nothing that is wrong with a row passes in silence: the error names the row and the field.
"""

import hashlib
import json
import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset

from rlvr.data import Problem
from rlvr.data.answer_text import final_answer
from rlvr.errors import UserError, nearest, unknown
from rlvr.files.hub import reachable
from rlvr.problems.cleaning import without_conflicting, without_long, without_repeated
from rlvr.verification.ifeval import check_instructions

READERS = {".jsonl": "json", ".json": "json", ".parquet": "parquet"}
LETTERS = "ABCDEFGHIJ"


def dataset_problems(
    *,
    size: int | None,
    held_out: bool,
    seed: int,
    fields: Mapping[str, str],
    hub: str | None = None,
    subset: str | None = None,
    split: str = "train",
    path: str | None = None,
    rows: int | None = None,
    verifier: str = "math",
    boxed: bool = False,
    choices: Sequence[str] = (),
    reference: Sequence[str] = (),
    max_tokens: int | None = None,
    tokenizer: str | None = None,
    drop_conflicting: bool = False,
    deduplicate: bool = False,
    drop_unanswered: bool = False,
) -> list[Problem]:
    """The problems of a data set, in its order.

    Args:
        size: how many problems to take, the first ones; None takes all.
        held_out: plays no part: a data set is for training or a benchmark as a whole.
        seed: of the order in which choices are shown, together with the problem.
        fields: the data set's names for `problem` and `answer`; "a.b.0" goes into nested fields, lists
            and JSON texts.
        hub, subset, split: id on the hub and what of it to read.
        path: a local file or an address (https://...) in the place of the hub's.
        rows: rows that there must be; None accepts any number.
        boxed: whether the answer field is a solution whose last box holds the answer.
        choices: fields with the wrong options of a multiple-choice question; its answer becomes a letter.
        reference: fields that make up the answer together, as one JSON text (IFEval's instructions).
        max_tokens: longer problems are left out, counted by `tokenizer` (folder or hub id).
        drop_conflicting: leave out problems that occur with different answers.
        deduplicate: keep only the first of problems with the same words.
        drop_unanswered: leave out rows with an empty answer, which are an error otherwise.

    Raises:
        UserError: a wrong number of rows, a missing field, an empty problem or answer, no such data.
    """
    del held_out
    if not hub and not path:
        raise UserError(
            "no data was given: name a JSONL or Parquet file as path=, or a hub's data set as hub="
        )
    source = hub or Path(path or "").stem
    table = read_table(hub, subset, split, path)
    if rows is not None and len(table) != rows:
        raise UserError(
            f"{path or hub} has {len(table)} rows, not the {rows} expected: check the file, or accept any "
            "number with parameters.rows=null"
        )
    problems: list[Problem] = []
    dropped: dict[str, int] = defaultdict(int)
    for number, row in enumerate(table, 1):
        place = f"row {number} of {path or hub}"
        question = text_of(row, fields["problem"], place)
        if drop_unanswered and value_of(row, fields["answer"], place) in (None, ""):
            dropped["without an answer"] += 1
            continue
        if reference:
            answer = json.dumps({name: value_of(row, name, place) for name in reference})
        else:
            answer = text_of(row, fields["answer"], place)
        if boxed:
            answer = (final_answer(answer) or "").strip()
            if not answer:
                raise UserError(f"{place}: {fields['answer']!r} has no \\boxed{{}} with an answer in it")
        if choices:
            wrong = [text_of(row, name, place) for name in choices]
            question, answer = multiple_choice(question, answer, wrong, seed)
        problems.append(problem_of(source, question, answer, verifier))
    if verifier == "ifeval":
        check_instructions([problem.answer for problem in problems])

    kept = problems
    if max_tokens is not None:
        kept, dropped[f"longer than {max_tokens:,} tokens"] = without_long(kept, max_tokens, tokenizer)
    if drop_conflicting:
        kept, dropped["with different answers to the same problem"] = without_conflicting(kept)
    if deduplicate:
        kept, dropped["repeated"] = without_repeated(kept)
    if any(dropped.values()):
        report(source, len(table), dropped, len(kept), size)
    elif size is not None and len(kept) < size:
        raise UserError(
            f"{path or hub} has {len(kept)} problems, not {size}: give size={len(kept)}, or null for all"
        )
    problems = with_unique_ids(kept[:size])
    if verifier == "math":
        report_references(source, problems)
    return problems


def read_table(hub: str | None, subset: str | None, split: str, path: str | None) -> "Dataset":
    """The rows, through `datasets`."""
    import datasets  # half a second and much memory, which the verifier's processes do without

    datasets.disable_progress_bars()
    if path is None:
        cached = Path(datasets.config.HF_DATASETS_CACHE) / (hub or "").replace("/", "___")
        if not cached.exists() and not reachable():
            raise UserError(
                f"data set {hub!r} is not on this machine and the hub can't be reached: fetch it where there "
                f"is a network with `hf download --repo-type dataset {hub}`, and give its JSONL or Parquet "
                "file as path="
            )
        try:
            return datasets.load_dataset(hub, subset, split=split)
        except (OSError, ValueError) as error:  # not found, not allowed, or no such subset or split
            raise UserError(f"data set {hub!r} can't be read: {str(error).splitlines()[0]}") from error
    suffix = Path(path).suffix
    if suffix not in READERS:
        raise unknown("kind of data file", suffix or path, READERS)
    if path.startswith("https://"):
        if not reachable(path):
            raise UserError(
                f"{Path(path).name} is not on this machine and can't be reached: fetch it where there is a "
                f"network with `curl -LO {path}`, and give the file as path="
            )
    elif not Path(path).is_file():
        raise UserError(f"there is no data file {path}: give a JSONL or Parquet file as path=")
    try:
        return datasets.load_dataset(READERS[suffix], data_files=path, split="train")
    except datasets.exceptions.DatasetGenerationError as error:
        raise UserError(f"{path} can't be read as {suffix[1:]}: {error.__cause__ or error}") from error


def value_of(row: Mapping[str, Any], name: str, place: str) -> Any:
    """A field of a row, `name` being a path such as "reward_model.ground_truth" or "prompt.0.content"."""
    if name in row:
        return row[name]
    value: Any = row
    for part in name.split("."):
        if isinstance(value, str) and value[:1] in "{[":
            value = json.loads(value)
        if isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, Mapping) and part in value:
            value = value[part]
        else:
            known = list(value) if isinstance(value, Mapping) else []
            has = ", ".join(map(repr, known)) or repr(value)
            raise UserError(f"{place} has no field {name!r}: it has {has}{nearest(part, known)}")
    return value


def text_of(row: Mapping[str, Any], name: str, place: str) -> str:
    """A field as text: 27.0 is "27" and a list of answers is joined with commas."""
    value = value_of(row, name, place)
    parts = value if isinstance(value, list) else [value]
    text = ", ".join(
        "" if part is None else re.sub(r"\A(-?\d+)\.0\Z", r"\1", str(part).strip()) for part in parts
    )
    if not text:
        raise UserError(f"{place}: field {name!r} is empty")
    return text


def multiple_choice(question: str, answer: str, wrong: Sequence[str], seed: int) -> tuple[str, str]:
    """The question with lettered options and the letter of the right one; the order is the problem's own."""
    options = [answer, *wrong]
    random.Random(f"{seed}/{question}").shuffle(options)
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)]
    text = "\n".join([question, "", *lines, "", "Answer with the letter of the right option."])
    return text, LETTERS[options.index(answer)]


def problem_of(source: str, question: str, answer: str, verifier: str) -> Problem:
    """A problem whose id is made of its words and answer, so that it stays when rows move."""
    digest = hashlib.blake2b(f"{question}\0{answer}".encode(), digest_size=8).hexdigest()
    return Problem(
        id=f"{source}/{digest}",
        source=source,
        prompt=({"role": "user", "content": question},),
        answer=answer,
        verifier=verifier,
    )


def with_unique_ids(problems: list[Problem]) -> list[Problem]:
    """Number the second and further problems with the same words and answer."""
    seen: dict[str, int] = defaultdict(int)
    unique = []
    for problem in problems:
        seen[problem.id] += 1
        again = f"#{seen[problem.id]}" if seen[problem.id] > 1 else ""
        unique.append(replace(problem, id=problem.id + again))
    return unique


def report_references(source: str, problems: Sequence[Problem]) -> None:
    """Say which references no completion could be judged by; training and scores leave such problems out."""
    from rich.console import Console

    from rlvr.verification.references import known_faults

    faults = known_faults([problem.answer for problem in problems])
    if faults:
        index, reason = faults[0]
        Console(stderr=True).print(
            f"{source}: {len(faults):,} of {len(problems):,} references cannot be judged by, so that no "
            f"completion of theirs counts; the first is {problems[index].answer!r}, which {reason}",
            highlight=False,
            markup=False,
        )


def report(source: str, rows: int, dropped: Mapping[str, int], kept: int, published: int | None) -> None:
    """Say what was left out, and the number that remains beside the published one."""
    from rich.console import Console

    parts = [f"{rows:,} rows", *(f"{count:,} {reason}" for reason, count in dropped.items())]
    beside = "" if published is None else f", {published:,} published"
    Console(stderr=True).print(
        f"{source}: {', '.join(parts)}; {kept:,} problems remain{beside}", highlight=False
    )
