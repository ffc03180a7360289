"""Problems as the Parquet files verl reads, and back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from rlvr.data import Problem
from rlvr.errors import UserError
from rlvr.policy.prompts import Prompts, chat, prompt_for, switches


def write_problems(problems: Mapping[str, Sequence[Problem]], prompts: Prompts, file: Path) -> Path:
    """One row a problem, in verl's columns: data_source, prompt, reward_model and extra_info.

    Args:
        problems: by name of their data set or benchmark, which becomes verl's data_source.
        prompts: what stands around a problem's own words; the chat template itself is applied by verl.
    """
    rows = [
        {
            "data_source": name,
            "prompt": chat(problem, prompt_for(problem, prompts)),
            "reward_model": {"style": "rule", "ground_truth": problem.answer},
            # as JSON: metadata differ from problem to problem, and columns of a Parquet file do not
            "extra_info": {"index": index, "problem": json.dumps(asdict(problem))},
        }
        for name, of_name in problems.items()
        for index, problem in enumerate(of_name)
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_parquet(file, index=False)
    return file


def problem_of(extra_info: Mapping[str, Any]) -> Problem:
    """The problem that `write_problems` put into a row's extra_info."""
    stored = json.loads(extra_info["problem"])
    return Problem(**stored | {"prompt": tuple(stored["prompt"])})


def template_switches(problems: Sequence[Problem], prompts: Prompts) -> dict[str, Any]:
    """What verl gives the chat template of every prompt, training and validation alike.

    Raises:
        UserError: where two problems want different switches, which verl has no place for.
    """
    different = {json.dumps(switches(prompt_for(problem, prompts))) for problem in problems}
    if len(different) > 1:
        raise UserError(
            f"backend=verl has one setting of the chat template for all prompts, given are "
            f"{' and '.join(sorted(different))}: make thinking and date of model.prompts the same"
        )
    return json.loads(different.pop()) if different else {}
