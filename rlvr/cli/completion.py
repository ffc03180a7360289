"""Completion of `rlvr` commands in bash, zsh and fish: verbs, keys, options of config groups, tables."""

from collections.abc import Sequence
from pathlib import Path

from rlvr.config import CONF, EXPERIMENTS, config_groups
from rlvr.config.keys import all_keys, choices
from rlvr.config.plugins import installed
from rlvr.errors import UserError, unknown

# bash takes what follows "=" as the word to complete; zsh has the same interface
BASH = """\
_rlvr() {
  local IFS=$'\\n' line="${COMP_LINE:0:$COMP_POINT}"
  local word="${line##* }"
  COMPREPLY=($(rlvr completion --line "$line"))
  if [[ $word == *=* ]]; then COMPREPLY=("${COMPREPLY[@]#"${word%=*}="}"); fi
}
complete -o nospace -o default -F _rlvr rlvr
"""
SHELLS = {
    "bash": BASH,
    "zsh": "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n" + BASH,
    "fish": "complete -c rlvr -f -a '(rlvr completion --line (commandline -cp | string collect))'\n",
}
TAKES_OVERRIDES = ("train", "evaluate", "profile", "plan", "reproduce")
OWN_KEYS = {
    "claims": ["paper=", "scale=", "results="],
    "evaluate": ["run="],
    "plan": ["table=", "gpus=", "mean_tokens="],
    "profile": ["n="],
    "report": ["file="],
    "reproduce": ["table=", "seeds=", "results=", "--render"],
    "select": ["method=", "run=", "threshold=", "share=", "epochs=", "size=", "seed=", "file="],
    "train": ["-m", "--cfg"],
    "watch": ["--once"],
    "warm-start": ["folder=", "steps=", "seed="],
}


def completion(arguments: Sequence[str], verbs: Sequence[str]) -> str:
    """What `rlvr completion <shell>` prints, or with `--line` what could stand at the end of that line."""
    if len(arguments) == 2 and arguments[0] == "--line":
        return "\n".join(candidates(arguments[1], verbs))
    if len(arguments) != 1:
        raise UserError(
            "completion needs a shell, as in `rlvr completion bash`: accepted are bash, zsh, fish"
        )
    if arguments[0] not in SHELLS:
        raise unknown("shell", arguments[0], SHELLS)
    return SHELLS[arguments[0]]


def candidates(line: str, verbs: Sequence[str]) -> list[str]:
    """What could stand in the place of the last word of a line; a verb is followed by a blank."""
    _, *words = line.split(" ")
    words = [word for word in words[:-1] if word] + words[-1:]
    word = words[-1] if words else ""
    if len(words) <= 1:
        return [f"{verb} " for verb in verbs if verb.startswith(word)]
    verb = words[0]
    if "=" not in word:
        keys = OWN_KEYS.get(verb, []) + (override_keys() if verb in TAKES_OVERRIDES else [])
        return sorted({key for key in keys if key.startswith(word)})
    key, _, value = word.partition("=")
    earlier, comma, begun = value.rpartition(",")  # several values are a sweep
    accepted = values(key) if verb in TAKES_OVERRIDES or key == "method" else []
    return [f"{key}={earlier}{comma}{option}" for option in accepted if option.startswith(begun)]


def override_keys() -> list[str]:
    """Every key that a run's config has, whatever options are chosen."""
    names = {key.name for key in all_keys() if "<" not in key.name}
    return sorted(f"{name}=" for name in names.union(config_groups()))


def values(key: str) -> list[str]:
    """The accepted values of a key, where they are a list."""
    if key == "table":
        files = [file for file in EXPERIMENTS.glob("*/*.yaml") if file.stem != "claims"]
        return sorted(f"{file.parent.name}/{file.stem}" for file in files)
    if key == "method":
        return ["lim", "linear", "random_subset"]
    if key in config_groups():
        folders: list[Path] = [CONF, *(plugin.conf for plugin in installed().values() if plugin.conf)]
        return sorted(file.stem for folder in folders for file in folder.glob(f"{key}/*.yaml"))
    return choices(key)
