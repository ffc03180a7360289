"""What the entries of a run's JSON files are: numbers where numbers are meant, texts where texts are.

A run folder may come from anyone, or be damaged in a way that leaves good JSON.
"""

from typing import Any

NUMBER = (int, float)
MAYBE = (int, float, type(None))
NUMBERS_BY_NAME = {"*": NUMBER}
OBJECTS = ("evaluated", "last", "rare", "packages", "hardware", "data", "contents", "overlap")
TEXTS = ("status", "arm", "experiment", "scale", "command", "python", "stage")
COUNTS = ("seed", "checkpoint_step", "trained_steps", "optimizer_steps", "done", "total")
# of summary.json, provenance.json and progress.json, each where it is there
ENTRIES: dict[str, Any] = {
    **dict.fromkeys(OBJECTS, dict),
    **dict.fromkeys(TEXTS, str),
    **dict.fromkeys(COUNTS, int),
    "seconds": NUMBERS_BY_NAME,
    "tokens": NUMBERS_BY_NAME,
    "flops": NUMBERS_BY_NAME,
    "evaluation": {"*": {"domain": str, "problems": int, "samples": int, "pass@k": {"#": MAYBE}}},
    "git": {"*": (str, bool)},
    "files": {"*": {"blake2b": str}},
    "started": [str],
    "time": NUMBER,
}
# of a line of any log, of one that has only numbers besides, and of rollouts.jsonl
STEP = {"step": int}
NUMBERS = {"step": int, "*": MAYBE}
COMPLETION = {"verdict": str, "tokens": [str], "advantage": MAYBE, "weights": (list, type(None))}
ROLLOUTS = {"step": int, "groups": [{"prompt": str, "completions": [COMPLETION]}]}
LONGEST = 1023  # bits of a whole number that a float can hold


def misfit(value: Any, shape: Any, name: str = "") -> str:
    """What in a JSON value is not of a shape, as "seconds.training is a str"; "" where all is.

    Args:
        shape: a type or several; a list of one shape, for lists of it; or a dict from keys, all of which
            have to be there, to shapes: "*" is any other key, "#" any whole number, of which one has to be.
    """
    if isinstance(shape, dict) and isinstance(value, dict):
        if lacking := [key for key in shape if key not in value and key not in ("*", "#")]:
            return f"{name} has no {lacking[0]}".strip()
        if "#" in shape and not (value and all(map(str.isdecimal, value))):
            return f"{name} has other keys than whole numbers, or none"
        other = shape.get("*", shape.get("#", object))
        parts = [(key, shape.get(key, other), part) for key, part in value.items()]
    elif isinstance(shape, list) and isinstance(value, list):
        if shape[0] is str and set(map(type, value)) <= {str}:
            return ""  # the tokens of a completion, which are many
        parts = [(index, shape[0], part) for index, part in enumerate(value)]
    else:
        kinds = type(shape) if isinstance(shape, dict | list) else shape
        if isinstance(value, int) and value.bit_length() > LONGEST:
            return f"{name} is beyond all bounds"
        as_truth = type(value) is bool and kinds in (int, NUMBER, MAYBE)  # which Python takes for a number
        if isinstance(value, kinds) and not as_truth:
            return ""
        return f"{name} is a {type(value).__name__}".strip()
    found = (misfit(part, inner, f"{name}.{key}".strip(".")) for key, inner, part in parts)
    return next(filter(None, found), "")
