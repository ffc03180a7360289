"""What the samples of a benchmark depend on: noted in their file, and held against what is asked for.

Of a key one part decides what is sampled, the other how it is judged: `sampled_part`.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rlvr import data
from rlvr.config.plugins import added
from rlvr.data import Problem
from rlvr.files.run_directory import flat, installed_versions
from rlvr.functions.source import digest_of, is_file_function
from rlvr.problems import content_fingerprint
from rlvr.rollout.engine import Sampling
from rlvr.verification import POOLED, VERIFIERS
from rlvr.verification.ifeval import SPLITTER, has_trained_splitter

COMPARING_PACKAGES = ("math-verify", "latex2sympy2-extended", "sympy", "if-verifiable", "langdetect", "nltk")
JUDGING = ("verifiers", "reward")  # what of a key judges samples; of "problems" their references do


def samples_key(
    benchmark: str,
    problems: Sequence[Problem],
    *,
    samples: int,
    sampling: Sampling,
    seed: int,
    samples_per_shard: int,
    made_with: dict[str, Any],
) -> dict[str, Any]:
    """Two evaluations with the same key have the same samples and verdicts.

    Args:
        made_with: of the policy and its engine, see `rlvr.runs.evaluate`.
    """
    return {
        "benchmark": benchmark,
        **judging(problems),
        "samples": samples,
        "sampling": asdict(sampling),
        "seed": seed,
        "samples_per_shard": samples_per_shard,
        **made_with,
    }


def judging(problems: Sequence[Problem]) -> dict[str, Any]:
    """What verdicts depend on besides the texts: the problems, with their references, and the verifiers."""
    return {
        "problems": content_fingerprint(problems),
        "verifiers": {name: verifier_version(name) for name in sorted({p.verifier for p in problems})},
    }


def questions_of(problems: Sequence[Problem]) -> str:
    """16 hexadecimal digits of what a policy is asked, in order: neither ids nor references.

    Verifiers are among it, by whose names `model.prompts` says what is put around a question; a judge in a
    file has no prompts of its own, whatever it is called and whatever is in it.
    """
    asked = [(list(p.prompt), None if is_file_function(p.verifier) else p.verifier) for p in problems]
    return digest_of(json.dumps(asked, sort_keys=True).encode())


def sampled_part(key: dict[str, Any], questions: str | None) -> dict[str, Any]:
    """What of a key the texts of samples depend on: all but what judges them.

    Args:
        questions: `questions_of` its problems; None where they are not known apart from the references.
    """
    part = {name: value for name, value in key.items() if name not in JUDGING}
    return part if questions is None else part | {"problems": questions}


def key_name(key: dict[str, Any]) -> str:
    """16 hexadecimal digits, for a folder."""
    return digest_of(json.dumps(key, sort_keys=True).encode())


def difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    """What of two keys is not the same, such as "sampling.temperature=0.8, not 1.0"."""
    old, new = flat(before), flat(now)
    different = [key for key in (old | new) if old.get(key) != new.get(key)]
    return "; ".join(f"{key}={old.get(key)}, not {new.get(key)}" for key in different)


@cache
def verifier_version(name: str) -> str:
    """A digest of the sources beside a verifier, of its own and of a plug-in, and of the packages it asks."""
    if name in POOLED:
        spec = find_spec(POOLED[name].partition(":")[0])
        file = spec.origin if spec else None
    else:
        verifier = added("verifiers", VERIFIERS).get(name)
        file = sys.modules[verifier.__module__].__file__ if verifier else None
    folders = [Path(file).parent] if file else []
    if name in POOLED or name in VERIFIERS:
        folders.append(Path(data.__file__).parent)  # the text of answers
    sources = [source.read_bytes() for folder in folders for source in sorted(folder.glob("*.py"))]
    if name == "ifeval":  # which splits sentences by what NLTK has on this machine, or by a list here
        sources += [file.read_bytes() for file in sorted(Path(SPLITTER).rglob("*")) if file.is_file()]
        sources.append(str(has_trained_splitter()).encode())
    installed = installed_versions(COMPARING_PACKAGES)
    versions = [f"{package} {installed.get(package, '')}".encode() for package in COMPARING_PACKAGES]
    return digest_of(b"\0".join([*sources, *versions]))
