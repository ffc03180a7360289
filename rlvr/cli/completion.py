"""Completion of `rlvr` commands in bash, zsh and fish: verbs, keys, options of config groups, tables."""

from collections.abc import Mapping

from rlvr.cli.arguments import Verb, choices_of, shown_flags
from rlvr.cli.overrides import LABELS, options_of
from rlvr.config import config_groups
from rlvr.config.keys import all_keys, choices

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


def candidates(line: str, verbs: Mapping[str, Verb]) -> list[str]:
    """What could stand in the place of the last word of a line; a verb is followed by a blank."""
    _, *words = line.split(" ")
    words = [word for word in words[:-1] if word] + words[-1:]
    word = words[-1] if words else ""
    if len(words) <= 1:
        return [f"{verb} " for verb in verbs if verb.startswith(word)]
    if (verb := verbs.get(words[0])) is None:
        return []
    before = verb.flags.get(words[-2])
    if before and before.metadata["value"] and (accepted := choices_of(before)) and "=" not in word:
        return [choice for choice in accepted if choice.startswith(word)]
    if "=" not in word:
        keys = [
            *(f"{name}=" for name in verb.fields("key")),
            *(override_keys() if verb.takes_overrides else ()),
        ]
        places = [choice for item in verb.fields("word").values() for choice in choices_of(item)]
        flags = shown_flags(verb) if word.startswith("-") or not word else []
        return sorted({option for option in (*keys, *places, *flags) if option.startswith(word)})
    key, _, value = word.partition("=")
    earlier, comma, begun = value.rpartition(",")  # several values are a sweep
    if key in verb.fields("key"):
        accepted = choices_of(verb.fields("key")[key])
    else:
        accepted = values(key) if verb.takes_overrides else []
    return [f"{key}={earlier}{comma}{option}" for option in accepted if option.startswith(begun)]


def override_keys() -> list[str]:
    """Every key of a run's config that can be given, whatever options are chosen."""
    names = {key.name for key in all_keys() if "<" not in key.name} - LABELS
    return sorted(f"{name}=" for name in names.union(config_groups()))


def values(key: str) -> list[str]:
    """The accepted values of a key of the config, where they are a list."""
    return options_of(key) if key in config_groups() else choices(key)
