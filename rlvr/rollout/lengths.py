"""Can the model ask and answer problems: do prompt and completion fit its context, can it write a box?"""

from collections.abc import Iterable, Sequence

from transformers import AutoConfig, PreTrainedConfig, PreTrainedTokenizerBase

from rlvr.config import ModelConfig
from rlvr.data import Group, Problem
from rlvr.errors import UserError
from rlvr.policy.location import find
from rlvr.policy.policy import load_tokenizer
from rlvr.policy.prompts import Prompts, has_unknown, render
from rlvr.policy.weights import ODD_CONFIG
from rlvr.problems.lazy import LazyProblems

SEEN_OF_LAZY = 100  # problems that are generated on access are alike in length
# what transformers raises for a model that `load_policy` then refuses with its reason
NOT_READ = (OSError, *ODD_CONFIG)
BOXED = ("math", "multiple_choice", "words")  # verifiers that read an answer from a box


def context_of(config: PreTrainedConfig) -> int | None:
    """Most tokens of a prompt and its completion together, as a model's config says; None if it does not."""
    return getattr(config.get_text_config(), "max_position_embeddings", None)


def check_fits(groups: Iterable[Group], max_tokens: int, context: int | None) -> None:
    """Raise UserError for a prompt that leaves less than `max_tokens` of the context."""
    longest = max(groups, key=lambda group: len(group.prompt_ids), default=None)
    if longest is not None:
        check_length(longest.problem, len(longest.prompt_ids), max_tokens, context)


def check_length(
    problem: Problem, prompt: int, max_tokens: int, context: int | None, key: str = "max_tokens"
) -> None:
    """Raise UserError if a prompt of so many tokens leaves less than `max_tokens` of the context.

    Args:
        key: of the config, that `max_tokens` was given as.
    """
    if context is None or prompt + max_tokens <= context:
        return
    room = context - prompt
    nearest = (
        f"the nearest valid choice is {key}={room}"
        if room > 0
        else "leave the problem out, or choose a model with a longer context"
    )
    raise UserError(
        f"{key}={max_tokens} was given, and the prompt of problem {problem.id} has {prompt} tokens: accepted "
        f"are {context} together, the context of the model; {nearest}"
    )


def longest_prompt(
    problems: Sequence[Problem], tokenizer: PreTrainedTokenizerBase, prompts: Prompts, *, above: int = 0
) -> tuple[int, Problem | None]:
    """Tokens of the longest prompt, and its problem; (`above`, None) if none is longer than that.

    A token is a byte at least, so that most problems need no tokenizer.
    """
    sized = sorted(((_bytes(problem), index) for index, problem in enumerate(problems)), reverse=True)
    of_each_verifier = {problem.verifier: problem for problem in problems}.values()
    around = max(
        (
            len(render(tokenizer, problem, prompts, tokenize=False).encode()) - _bytes(problem)
            for problem in of_each_verifier
        ),
        default=0,
    )
    longest, of = above, None
    for size, index in sized:
        if size + around <= longest:
            break
        if (length := len(render(tokenizer, problems[index], prompts))) > longest:
            longest, of = length, problems[index]
    return longest, of


def check_box(tokenizer: PreTrainedTokenizerBase, problems: Iterable[Problem]) -> None:
    """Refuse problems whose answers are read from a box, where the policy has no token to write one with."""
    boxed = next((problem for problem in problems if problem.verifier in BOXED), None)
    if boxed and has_unknown(tokenizer, r"\boxed"):
        raise UserError(
            rf"problem {boxed.id} is judged by verifier={boxed.verifier}, which reads an answer from "
            rf"\boxed{{}}, and the tokenizer of {tokenizer.name_or_path!r} has no token for that: choose "
            "verifier=integer, which takes a whole number as it is, a judge of your own "
            "(verifier=my_judge.py:judge), or another model"
        )


def _bytes(problem: Problem) -> int:
    return sum(len(message["content"].encode()) for message in problem.prompt)


def longest_sequence(
    model: ModelConfig, asked: Iterable[tuple[Sequence[Problem], int, str]], *, exact: bool = False
) -> int | None:
    """Check that a model can answer: prompts with completions fit its context, and it knows their form.

    Args:
        asked: problems, the most tokens of a completion of theirs, and the key that says so.
        exact: measure the longest prompt even where all of them fit by their size.

    Returns:
        Tokens of the longest prompt and completion; None if that was not measured.

    Raises:
        UserError: for the longest prompt, if it does not fit; see also `check_box`.
    """
    path = find(model)
    try:
        tokenizer = load_tokenizer(model)  # looks through the files first
        context = context_of(AutoConfig.from_pretrained(path, trust_remote_code=False))
    except UserError:
        raise
    except NOT_READ:
        return None
    lengths = []
    for problems, max_tokens, key in asked:
        if isinstance(problems, LazyProblems) and len(problems) > SEEN_OF_LAZY:
            problems, exact = problems[:SEEN_OF_LAZY], False
        check_box(tokenizer, problems)
        known = 0 if exact or context is None else max(context - max_tokens, 0)
        length, problem = longest_prompt(problems, tokenizer, model.prompts, above=known)
        if problem is not None:
            check_length(problem, length, max_tokens, context, key)
        lengths.append(length + max_tokens)
    return max(lengths, default=None) if exact else None
