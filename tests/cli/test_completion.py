"""Completion, asked directly and through a real bash."""

import os
import subprocess
import sys

import pytest

from rlvr.cli.completion import candidates
from rlvr.cli.main import VERBS
from rlvr.config import PACKAGE


def complete(line: str) -> list[str]:
    return candidates(line, VERBS)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rlvr tra", ["train "]),
        ("rlvr train algorithm=d", ["algorithm=dapo", "algorithm=dr_grpo", "algorithm=ds_grpo"]),
        ("rlvr train -m algorithm=grpo,ci", ["algorithm=grpo,cispo"]),
        ("rlvr train advantage_scaling.ga", ["advantage_scaling.gamma="]),
        ("rlvr train training.precision=b", ["training.precision=bfloat16"]),
        ("rlvr reproduce table=fgrpo/table1", ["table=fgrpo/table1"]),
        ("rlvr select method=li", ["method=lim", "method=linear"]),
        ("rlvr train data.path=que", []),
        ("rlvr train --cfg j", ["job"]),
        ("rlvr train --multi", ["--multirun"]),
        ("rlvr warm-start pol", ["policy="]),
        ("rlvr warm-start policy=maze_s", ["policy=maze_small"]),
        ("rlvr bench part=step,up", ["part=step,update"]),
        ("rlvr export results/x my dtype=b", ["dtype=bfloat16"]),
        ("rlvr simulate --f", ["--figures"]),
        ("rlvr claims paper=fg", ["paper=fgrpo"]),
        ("rlvr plan peak", ["peak_tflops="]),
        ("rlvr completion f", ["fish"]),
        ("rlvr nonsense see", []),
    ],
)
def test_what_could_come_next(line: str, expected: list[str]):
    found = complete(line)
    assert found[: len(expected)] == expected
    assert len(found) == len(expected) or line.endswith("table1")  # table10 and others may follow


def test_every_verb_and_group_is_offered():
    assert complete("rlvr ") == [f"{verb} " for verb in VERBS]
    assert {"algorithm=", "curriculum=", "seed=", "curriculum.threshold=", "-m"} <= set(
        complete("rlvr train ")
    )


@pytest.mark.parametrize(
    ("line", "reply"), [("rlvr eva", "evaluate "), ("rlvr train seed=1 algorithm=grpo,ci", "grpo,cispo")]
)
def test_bash_gets_the_part_after_the_equals_sign(line: str, reply: str):
    script = f"""
        rlvr() {{ {sys.executable} -m rlvr "$@"; }}
        eval "$(rlvr completion bash)"
        COMP_LINE='{line}' COMP_POINT={len(line)}
        _rlvr
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"{reply}\n"
