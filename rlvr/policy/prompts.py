"""Prompts: a problem's own words, what a paper puts around them, and the tokenizer's chat template."""

from collections.abc import Mapping
from typing import Any

from transformers import PreTrainedTokenizerBase

from rlvr.config import PromptConfig
from rlvr.data import Problem
from rlvr.errors import UserError

Prompts = Mapping[str, PromptConfig]


def prompt_for(problem: Problem, prompts: Prompts) -> PromptConfig:
    """The settings of the problem's verifier, of `default` where it has none, or nothing at all."""
    return prompts.get(problem.verifier) or prompts.get("default") or PromptConfig()


def chat(problem: Problem, prompt: PromptConfig) -> list[dict[str, str]]:
    """The messages the chat template is given."""
    messages = [dict(message) for message in problem.prompt]
    if prompt.instruction:
        messages[-1]["content"] += f"\n\n{prompt.instruction}"
    if prompt.system:
        messages.insert(0, {"role": "system", "content": prompt.system})
    return messages


def render(
    tokenizer: PreTrainedTokenizerBase, problem: Problem, prompts: Prompts, *, tokenize: bool = True
) -> Any:
    """A problem's prompt up to where the answer begins: token ids, or the text without `tokenize`.

    `thinking` reaches the template as `enable_thinking` and `date` as `date_string`, the names that Qwen3
    and Llama 3 use; a template without the switch does not change.

    Raises:
        UserError: when the tokenizer has no chat template, or has no token for a word of the problem.
    """
    if tokenizer.chat_template is None:
        raise UserError(
            f"the tokenizer of {tokenizer.name_or_path!r} has no chat template: put one beside it as "
            "chat_template.jinja"
        )
    prompt = prompt_for(problem, prompts)
    switches = {"enable_thinking": prompt.thinking, "date_string": prompt.date}
    rendered = tokenizer.apply_chat_template(
        chat(problem, prompt),
        add_generation_prompt=True,
        tokenize=tokenize,
        return_dict=False,
        **{name: value for name, value in switches.items() if value is not None},
    )
    if tokenize and (word := unknown_word(tokenizer, problem, rendered)):
        raise UserError(
            f"the tokenizer of {tokenizer.name_or_path!r} has no token for {word!r} in problem {problem.id}: "
            "choose a model that reads these problems, such as model=smollm2-135m for English"
        )
    return rendered


def unknown_word(tokenizer: PreTrainedTokenizerBase, problem: Problem, ids: list[int]) -> str | None:
    """The first word of a problem that would only be marked as unknown; tokenizers of bytes know them all."""
    mark = tokenizer.unk_token_id
    if mark in (None, tokenizer.bos_token_id, tokenizer.eos_token_id) or mark not in ids:
        return None
    words = [word for message in problem.prompt for word in message["content"].split()]
    return next((w for w in words if mark in tokenizer(w, add_special_tokens=False)["input_ids"]), None)
