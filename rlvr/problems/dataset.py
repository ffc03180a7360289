"""Problems from a data set: a local file, a folder of files, an address, or the hub.

What a data set calls its fields, how many rows it must have and what is left out of it stand in its YAML
file. Nothing that is wrong with a row passes in silence: the error names the row and the field.
"""

import hashlib
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rlvr.config.problem_sets import verifiers
from rlvr.config.strict import strictly
from rlvr.data import Problem, Verdict
from rlvr.errors import UserError, nearest, refuse_unknown, say, unknown
from rlvr.files.hub import PATH_KEY
from rlvr.problems.cleaning import without_conflicting, without_long, without_repeated
from rlvr.problems.fields import answer_after, messages_of, plain, text_of, texts_of, value_of
from rlvr.problems.location import file_in_root, hub_rows, rows_at
from rlvr.problems.rows import FILE_SUFFIXES, Row
from rlvr.verification import VERIFIERS
from rlvr.verification.ifeval import check_instructions

LETTERS = "ABCDEFGHIJ"
SEVERAL = ("together", "alternatives")
OF_THE_ANSWER = ("integer", "multiple_choice", "synlogic", "words")  # verifiers that look at nothing else
NAMED = 10  # references that are named where none can be judged by


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetParameters:
    r"""What a YAML file says of a data set: where it is, what its fields are called, what is left out.

    Attributes:
        fields: the data set's names for `problem`, `answer` and, where rows are judged in several ways,
            `verifier`; "a.b.0" goes into nested fields, lists and JSON texts. A problem is a text or
            a list of chat messages, {"role": ..., "content": ...}.
        path: a file or an address (https://...) in the place of all others.
        glob: whether `path` is a pattern for several files, read in alphabetical order.
        records: where a JSON file that is one object keeps its list of rows.
        file: name of the data set's file in the folder `data.root`, without suffix; by default `name`.
        url: the address of the published file.
        hub, subset, split: id on the hub and what of it to read.
        revision: of the data set on the hub: a commit, branch or tag; None for its main branch.
        rows: rows that there must be; None accepts any number.
        verifier: of all problems, where `fields` has none.
        verifiers: what the verifier's field says of a row -> its verifier ("openai/gsm8k": "math"); without
            any the field has the verifier's name.
        answer_after: where in the answer field the answer is: "boxed" (the last `\boxed{}`) or a regular
            expression that it follows, as "####" (see `fields.answer_after`); None: the whole field.
        several: what a list of several answers means: they are the answer "together", or "alternatives",
            ways to write it, of which the first is the reference and the others are metadata.
        choices: fields with the wrong options of a multiple-choice question; its answer becomes a letter.
            Where `fields` has a verifier, that of the rows judged by `multiple_choice`.
        reference: fields that make up the answer together, as one JSON text (IFEval's instructions); where
            `fields` has a verifier, of the rows judged by `ifeval`.
        metadata: what a problem's metadata call a field -> the field ("level": "level"); null is left out.
        where: field -> its accepted values; other rows are left out.
        max_tokens: longer problems are left out, counted by `tokenizer` (folder or hub id).
        drop_conflicting: leave out problems that occur with different answers.
        deduplicate: keep only the first of problems with the same words.
        drop_unanswered: leave out rows without an answer, which are an error otherwise.
        unanswered: texts that stand for no answer, beside null and the empty text.
    """

    fields: dict[str, str | None]
    path: str | None = None
    glob: bool = False
    records: str | None = None
    file: str | None = None
    url: str | None = None
    hub: str | None = None
    subset: str | None = None
    split: str = "train"
    revision: str | None = None
    rows: int | None = None
    verifier: str = "math"
    verifiers: dict[str, str] = field(default_factory=dict)
    answer_after: str | None = None
    several: str | None = None
    choices: list[str] = field(default_factory=list)
    reference: list[str] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    where: dict[str, list[Any]] = field(default_factory=dict)
    max_tokens: int | None = None
    tokenizer: str | None = None
    drop_conflicting: bool = False
    deduplicate: bool = False
    drop_unanswered: bool = False
    unanswered: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        needed = {"problem"} if self.reference and not self.by_row else {"problem", "answer"}
        if missing := needed - {name for name, column in self.fields.items() if column is not None}:
            raise UserError(f"parameters.fields has no {min(missing)!r}: say what the data set calls it")
        refuse_unknown("key in parameters.fields", self.fields, ("problem", "answer", "verifier"))
        if self.several not in (None, *SEVERAL):
            raise unknown("meaning of several answers", self.several, SEVERAL)
        if len(self.choices) >= len(LETTERS):
            raise UserError(
                f"{len(self.choices)} choices: accepted are at most {len(LETTERS) - 1} wrong ones"
            )

    @property
    def by_row(self) -> bool:
        """Whether each row says how it is judged."""
        return self.fields.get("verifier") is not None

    def is_made_of(self, columns: list[str], verifier: str, its_own: str) -> bool:
        """Whether the answer of a row judged by `verifier` is made of `columns`, which are `its_own`'s."""
        return bool(columns) and (not self.by_row or verifier == its_own)


def dataset_problems(
    *,
    size: int | None,
    held_out: bool,
    seed: int,
    name: str | None = None,
    root: str | None = None,
    **parameters: Any,
) -> list[Problem]:
    """The problems of a data set, in its order.

    Args:
        size: how many problems to take, the first ones; None takes all.
        held_out: plays no part: a data set is for training or a benchmark as a whole.
        seed: of the order in which choices are shown, together with the problem.
        name: of a published data set, with which its problems' ids begin wherever it was read from; those of
            a file of one's own begin with the file's name.
        root: a folder in which known data sets are looked for before address and hub.
        parameters: those of `DatasetParameters`.

    Raises:
        UserError: a wrong number of rows, a missing field, an empty problem or answer, no such data.
    """
    del held_out
    given = strictly(DatasetParameters, parameters, "parameters")
    source, where, rows = open_rows(given, name, root)
    dropped: Counter[str] = Counter()
    problems: list[Problem] = []
    seen: dict[str, set[str]] = defaultdict(set)
    count = 0
    for place, row in rows:
        count += 1
        if not is_wanted(row, place, given, seen):
            dropped["of other kinds"] += 1
        elif problem := row_to_problem(row, place, given, source, seed):
            problems.append(problem)
        else:
            dropped["without an answer"] += 1
    if given.rows is not None and count != given.rows:
        raise UserError(
            f"{where} has {count} rows, not the {given.rows} expected: check the file, or accept any "
            "number with parameters.rows=null"
        )
    if not problems:
        values = "; ".join(f"{key!r} has {', '.join(sorted(found)[:8])}" for key, found in seen.items())
        raise UserError(f"none of the {count} rows of {where} remain{'; ' + values if values else ''}")
    if instructions := [problem.answer for problem in problems if problem.verifier == "ifeval"]:
        check_instructions(instructions)
    if not (kept := clean(problems, given, dropped)):
        raise UserError(f"none of the rows of {where} remain: {', '.join(shares_of(count, dropped))}")
    if any(dropped.values()):
        report(source, count, dropped, len(kept), size)
    elif size is not None and len(kept) < size:
        raise UserError(
            f"{where} has {len(kept)} problems, not {size}: give size={len(kept)}, or null for all"
        )
    kept = with_unique_ids(kept[:size])
    for verifier in dict.fromkeys(problem.verifier for problem in kept):
        report_references(source, [problem for problem in kept if problem.verifier == verifier], verifier)
    return kept


def open_rows(given: DatasetParameters, name: str | None, root: str | None) -> tuple[str, str, Iterator[Row]]:
    """What the problems' ids begin with, what errors call the data, and its rows."""
    path = given.path
    published = given.hub or given.url
    if not published and path is None:
        raise UserError(f"no data was given: name a JSONL, JSON, CSV or Parquet file as {PATH_KEY}")
    source = (name or given.hub if published else None) or file_stem(path or given.url or "")
    if path is None and root is not None:
        path = file_in_root(root, given.file or source)
        if path is None:
            say(f"{source}: data.root={root} has no {given.file or source}.jsonl; it is looked for elsewhere")
    if path := path or given.url:
        known_as = None if given.path else given.file or source
        return source, path, rows_at(path, name=known_as, pattern=given.glob, records=given.records)
    assert given.hub is not None
    return source, given.hub, hub_rows(given.hub, given.subset, given.split, given.revision)


def file_stem(path: str) -> str:
    """A file's name without the suffixes that are read."""
    name = Path(path).name
    suffix = next((s for s in sorted(FILE_SUFFIXES, key=len)[::-1] if name.lower().endswith(s)), "")
    return name.removesuffix(name[len(name) - len(suffix) :]) if suffix else name


def is_wanted(row: Mapping, place: str, given: DatasetParameters, seen: dict[str, set[str]]) -> bool:
    """Whether a row's fields have the accepted values; the values met are noted in `seen`."""
    wanted = True
    for name, accepted in given.where.items():
        text = text_of(value_of(row, name, place), name, place)
        seen[name].add(text)
        wanted &= text in [text_of(value, f"where.{name}", "parameters") for value in accepted]
    return wanted


def row_to_problem(
    row: Mapping[str, Any], place: str, given: DatasetParameters, source: str, seed: int
) -> Problem | None:
    """The problem of a row; None for one without an answer, where those are left out.

    Raises:
        UserError: a field that is missing, empty or no text; names the row and the field.
    """
    name = given.fields["problem"]
    messages = messages_of(value_of(row, name, place), name, place)
    metadata = {
        key: plain(value, column, place)
        for key, column in given.metadata.items()
        if (value := value_of(row, column, place)) is not None
    }
    verifier = verifier_of(row, place, given)
    if given.is_made_of(given.reference, verifier, "ifeval"):
        values = {column: plain(value_of(row, column, place), column, place) for column in given.reference}
        return problem_of(source, messages, json.dumps(values), verifier, metadata)
    answers = answers_of(row, place, given)
    if answers is None:
        return None
    answer = ", ".join(answers)
    if given.several == "alternatives":
        answer, *others = answers
        metadata |= {"alternatives": others} if others else {}
    if given.is_made_of(given.choices, verifier, "multiple_choice"):
        wrong = [text_of(value_of(row, column, place), column, place) for column in given.choices]
        if answer in wrong:
            raise UserError(f"{place}: the right option {answer!r} is among the wrong ones too")
        question, answer = multiple_choice(messages[-1]["content"], answer, wrong, seed)
        messages = (*messages[:-1], {"role": "user", "content": question})
    return problem_of(source, messages, answer, verifier, metadata)


def verifier_of(row: Mapping[str, Any], place: str, given: DatasetParameters) -> str:
    """The verifier of a row: all rows', or what its field says.

    Raises:
        UserError: a field that is missing or empty, or says what is no verifier, nor any of those named.
    """
    if not (name := given.fields.get("verifier")):
        return given.verifier
    said = text_of(value_of(row, name, place), name, place)
    if given.verifiers:
        if said not in given.verifiers:
            hint = nearest(said, given.verifiers) or "; say in parameters.verifiers who judges it"
            raise unknown(f"value of field {name!r} in {place}:", said, given.verifiers, hint)
        return given.verifiers[said]
    refuse_unknown(f"verifier in field {name!r} of {place}:", [said], verifiers())
    return said


def answers_of(row: Mapping[str, Any], place: str, given: DatasetParameters) -> list[str] | None:
    """A row's answer, or its answers where it may have several; None where it has none and may."""
    name = given.fields["answer"]
    value = value_of(row, name, place)
    blank = value in (None, []) or (isinstance(value, str) and value.strip() in ("", *given.unanswered))
    if blank and given.drop_unanswered:
        return None
    if blank and value and value.strip():
        raise UserError(
            f"{place}: field {name!r} is {value.strip()!r}, which parameters.unanswered counts as no answer: "
            "leave such rows out with parameters.drop_unanswered=true"
        )
    texts = texts_of(value, name, place) if given.several else [text_of(value, name, place)]
    if given.answer_after is None:
        return texts
    found = [answer_after(given.answer_after, text) for text in texts]
    if all(found):
        return found
    if given.drop_unanswered:
        return None
    boxed = given.answer_after == "boxed"
    lacks = r"no \boxed{} with an answer in it" if boxed else f"nothing after {given.answer_after!r}"
    raise UserError(f"{place}: field {name!r} has {lacks}")


def clean(problems: list[Problem], given: DatasetParameters, dropped: Counter[str]) -> list[Problem]:
    """Leave out what the parameters say: the long, the contradictory, the repeated; count them."""
    kept = problems
    if given.max_tokens is not None:
        reason = f"longer than {given.max_tokens:,} tokens"
        kept, dropped[reason] = without_long(kept, given.max_tokens, given.tokenizer)
    if given.drop_conflicting:
        kept, dropped["with different answers to the same problem"] = without_conflicting(kept)
    if given.deduplicate:
        kept, dropped["repeated"] = without_repeated(kept)
    return kept


def multiple_choice(question: str, answer: str, wrong: Sequence[str], seed: int) -> tuple[str, str]:
    """The question with lettered options and the letter of the right one; the order is the problem's own."""
    options = [answer, *wrong]
    random.Random(f"{seed}/{question}").shuffle(options)
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)]
    text = "\n".join([question, "", *lines, "", "Answer with the letter of the right option."])
    return text, LETTERS[options.index(answer)]


def problem_of(
    source: str, messages: tuple[dict[str, str], ...], answer: str, verifier: str, metadata: dict[str, Any]
) -> Problem:
    """A problem whose id is made of its words and answer, so that it stays when rows move."""
    question = "\0".join(message["content"] for message in messages)
    digest = hashlib.blake2b(f"{question}\0{answer}".encode(), digest_size=8).hexdigest()
    return Problem(
        id=f"{source}/{digest}",
        source=source,
        prompt=messages,
        answer=answer,
        verifier=verifier,
        metadata=metadata,
    )


def with_unique_ids(problems: list[Problem]) -> list[Problem]:
    """Number the second and further problems with the same words and answer; of a mixture's, some may have
    been numbered within their part."""
    seen: Counter[str] = Counter()
    unique: dict[str, Problem] = {}
    for problem in problems:
        name = problem.id
        while name in unique:
            seen[problem.id] += 1
            name = f"{problem.id}#{seen[problem.id] + 1}"
        unique[name] = replace(problem, id=name)
    return list(unique.values())


def report_references(source: str, problems: Sequence[Problem], verifier: str) -> None:
    """Say which references no completion could be judged by; training and scores leave such problems out.

    Raises:
        UserError: where that is all of them.
    """
    from rlvr.verification.references import known_faults

    faults: list[tuple[int, str]] = []
    if verifier == "math":
        faults = known_faults([problem.answer for problem in problems])
    elif verifier in OF_THE_ANSWER:
        unread = (VERIFIERS[verifier](problem, "") is Verdict.REFERENCE_UNPARSABLE for problem in problems)
        faults = [(index, f"is none that {verifier} reads") for index, found in enumerate(unread) if found]
    if len(faults) == len(problems):
        raise UserError(
            f"{source}: none of {len(problems):,} references can be judged by verifier={verifier}; "
            f"{problems[0].answer!r} of {problems[0].id} {faults[0][1]}: say where in it the answer is with "
            "parameters.answer_after=, or choose another verifier="
        )
    if faults:
        named = [f"{problems[index].answer!r} of {problems[index].id} {reason}" for index, reason in faults]
        more = f"; and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
        say(
            f"{source}: {len(faults):,} of {len(problems):,} references cannot be judged by, so that no "
            f"completion of theirs counts: {'; '.join(named[:NAMED])}{more}"
        )


def report(source: str, rows: int, dropped: Mapping[str, int], kept: int, size: int | None) -> None:
    """Say what was left out, and the number that remains beside the one asked for (often the published)."""
    beside = "" if size is None else f", {size:,} asked for"
    say(f"{source}: {', '.join(shares_of(rows, dropped))}; {kept:,} problems remain{beside}")


def shares_of(rows: int, dropped: Mapping[str, int]) -> list[str]:
    """How many rows there are, and how many of them were left out for what."""
    return [f"{rows:,} rows", *(f"{count:,} {reason}" for reason, count in dropped.items())]
