"""Prompts: a problem's own words, what a paper puts around them, and the tokenizer's chat template."""

import os
import resource
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from rlvr.config import PromptConfig
from rlvr.data import Problem
from rlvr.errors import UserError, say

Prompts = Mapping[str, PromptConfig]

MAX_AROUND = 100_000  # characters that a chat template may add to the messages
CPU_SECONDS = 1  # for one prompt, which takes milliseconds
WALL_SECONDS = 60.0  # should the process that tries the template hang without computing
ANOTHER = "put another one beside it as chat_template.jinja, or give one as model.chat_template="
SMALL_VOCABULARY = 1000  # tokens
MEMORY = 1 << 30  # bytes, beyond what the process holds
TEMPLATE_ERRORS = (
    *(TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError),
)
_TOO_LONG, _TOO_LARGE = 3, 4  # exit statuses
_tried: set[str] = set()  # templates that came to an end


def prompt_for(problem: Problem, prompts: Prompts) -> PromptConfig:
    """The settings of the problem's verifier, of `default` where it has none, or nothing at all."""
    return prompts.get(problem.verifier) or prompts.get("default") or PromptConfig()


def chat(problem: Problem, prompt: PromptConfig) -> list[dict[str, str]]:
    """The messages the chat template is given: a problem's own system message is the only one."""
    messages = [dict(message) for message in problem.prompt]
    if prompt.instruction:
        messages[-1]["content"] += f"\n\n{prompt.instruction}"
    if prompt.system and not brings_system(problem):
        messages.insert(0, {"role": "system", "content": prompt.system})
    return messages


def brings_system(problem: Problem) -> bool:
    """Whether a problem of a data set of chat messages has a system message of its own."""
    return problem.prompt[0]["role"] == "system"


def switches(prompt: PromptConfig) -> dict[str, Any]:
    """What the chat template is given besides: `thinking` as `enable_thinking` and `date` as `date_string`,
    the names that Qwen3 and Llama 3 use; a template without the switch does not change.
    """
    named = {"enable_thinking": prompt.thinking, "date_string": prompt.date}
    return {name: value for name, value in named.items() if value is not None}


def render(
    tokenizer: PreTrainedTokenizerBase, problem: Problem, prompts: Prompts, *, tokenize: bool = True
) -> Any:
    """A problem's prompt up to where the answer begins: token ids, or the text without `tokenize`.

    Raises:
        UserError: when the tokenizer has no chat template, or has no token for a word of the problem.
    """
    if tokenizer.chat_template is None:
        raise UserError(
            f"the tokenizer of {tokenizer.name_or_path!r} has no chat template: put one beside it as "
            "chat_template.jinja, give one as model.chat_template=, or model.chat_template=none for prompts "
            "without"
        )
    prompt = prompt_for(problem, prompts)
    messages = chat(problem, prompt)
    text = apply_template(tokenizer, messages, switches(prompt))
    if not tokenize:
        return text
    rendered = tokenizer(text, add_special_tokens=False)["input_ids"]
    if not rendered:
        raise UserError(f"the tokenizer of {tokenizer.name_or_path!r} makes no token of problem {problem.id}")
    if word := unknown_word(tokenizer, messages, rendered):
        raise UserError(
            f"the tokenizer of {tokenizer.name_or_path!r} has no token for {word!r} in the prompt of problem "
            f"{problem.id}{what_is_known(tokenizer)}: choose a model that reads these problems, such as "
            "model=smollm2-135m for English"
        )
    return rendered


def check_template(tokenizer: PreTrainedTokenizerBase, prompts: Prompts) -> None:
    """Try a model's chat template, if it has one, when the model is loaded, rather than a copy of it.

    Raises:
        UserError: see `apply_template`.
    """
    if tokenizer.chat_template is not None:
        problem = Problem("trial", "trial", ({"role": "user", "content": "1 + 2"},), "3", "default")
        apply_template(tokenizer, chat(problem, prompt_for(problem, prompts)), {})


def apply_template(
    tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]], switches: dict[str, Any]
) -> str:
    """The text that the chat template makes of messages.

    A template is a program that came with the weights. The first time it is run in a process of its own,
    which is ended when it goes on for too long or takes too much memory.

    Raises:
        UserError: a template that fails, goes on without end, writes far more than it was given, or leaves
            words of a message out.
    """
    template = str(tokenizer.chat_template)

    def rendered() -> str:
        return tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False, **switches)

    name = f"the chat template of {tokenizer.name_or_path!r}"
    given = sum(len(message["content"]) for message in messages)
    if template not in _tried:
        if fault := outcome_apart(lambda: len(rendered()) <= given + MAX_AROUND):
            raise UserError(f"{name} {fault}: {ANOTHER}")
        _tried.add(template)
        if "strftime_now" in template and "date_string" not in switches:
            say(
                f"{name} may write today's date, so that prompts are others tomorrow: "
                "model.prompts.default.date='1 Jan 2026' keeps them, where the template has date_string"
            )
    try:
        text = rendered()
    except TEMPLATE_ERRORS as error:
        raise UserError(f"{name} can't be applied: {type(error).__name__}: {error}") from error
    words = (word for message in messages for word in message["content"].split())
    if left_out := next((word for word in words if word not in text), None):
        raise UserError(f"{name} leaves {left_out!r} of the prompt out: {ANOTHER}, or change model.prompts")
    return text


def outcome_apart(is_short: Callable[[], bool]) -> str:
    """Run a function in a forked process within limits; "" where it returns True or raises, else what it did.

    What it raises is for the caller to meet again: by then it is known to come soon.
    """
    process = os.fork()
    if process == 0:  # nothing here may touch threads or devices of the parent, nor return into its code
        status = _TOO_LONG
        try:
            bound(resource.RLIMIT_CORE, 0)
            bound(resource.RLIMIT_CPU, CPU_SECONDS)
            if (size := Path("/proc/self/statm")).exists():
                bound(resource.RLIMIT_AS, int(size.read_text().split()[0]) * resource.getpagesize() + MEMORY)
            status = 0 if is_short() else _TOO_LONG
        except MemoryError:
            status = _TOO_LARGE
        except TEMPLATE_ERRORS:
            status = 0
        finally:
            os._exit(status)
    deadline = time.monotonic() + WALL_SECONDS
    ended, status = 0, 0
    while not ended and time.monotonic() < deadline:
        ended, status = os.waitpid(process, os.WNOHANG)
        time.sleep(0 if ended else 0.001)
    if not ended:
        os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status):
        return f"computes for more than {CPU_SECONDS} s over one prompt"
    return {
        0: "",
        _TOO_LONG: f"writes more than {MAX_AROUND:,} characters around the problem",
        _TOO_LARGE: f"takes more than {MEMORY >> 20:,} MiB of memory over one prompt",
    }[os.WEXITSTATUS(status)]


def bound(what: int, limit: int) -> None:
    """Lower a limit of this process, which may have a lower one."""
    _, hard = resource.getrlimit(what)
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(what, (limit, limit))


def unknown_word(
    tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]], ids: list[int]
) -> str | None:
    """The first word of a prompt that would only be marked as unknown; tokenizers of bytes know them all."""
    if tokenizer.unk_token_id not in ids:
        return None
    words = [word for message in messages for word in message["content"].split()]
    return next((word for word in words if has_unknown(tokenizer, word)), None)


def has_unknown(tokenizer: PreTrainedTokenizerBase, text: str) -> bool:
    """Whether some of a text would only be marked as unknown."""
    mark = tokenizer.unk_token_id
    if mark in (None, tokenizer.bos_token_id, tokenizer.eos_token_id):
        return False
    return mark in tokenizer(text, add_special_tokens=False)["input_ids"]


def what_is_known(tokenizer: PreTrainedTokenizerBase) -> str:
    """The words of a small vocabulary, in a half-sentence; "" for one that nobody would read."""
    vocabulary = tokenizer.get_vocab()
    if len(vocabulary) > SMALL_VOCABULARY:
        return ""
    known = sorted(vocabulary, key=vocabulary.__getitem__)
    words = [word for word in known if not word.isdigit() and not word.startswith("<")]
    numbers = sorted(int(word) for word in known if word.isdigit())
    numbers = [f"and numbers from {numbers[0]} to {numbers[-1]}"] if numbers else []
    return f"; it knows {' '.join([*words, *numbers])}"
