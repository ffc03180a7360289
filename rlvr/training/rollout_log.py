"""rollouts.jsonl: a few groups as they were learned from, token by token; a line a checkpoint.

What a person wants to look at is one group in full, not all of them: some megabytes a run at most.
"""

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from rlvr.data import Group
from rlvr.training.batch import Batch, signal, token_weights

GROUPS = 4  # of a step
TOKENS = 2048  # of a completion; of longer ones the beginning


def describe_groups(batch: Batch, tokenizer: PreTrainedTokenizerBase, credit: Any) -> list[dict]:
    """The first groups of a step, those with signal first.

    A group is {"problem", "prompt", "focal_weight", "completions"}, its weight the mean of its rollouts'.
    A completion has its `verdict`, `reward` and `advantage` (null: not scorable), its `tokens` as pieces of
    text and the `weights` of those tokens in the loss (null: it is not in the loss).
    """
    has_signal = signal(batch)
    chosen = sorted(range(len(batch.groups)), key=lambda g: not has_signal[g])[:GROUPS]
    return [_group_entry(batch, g, tokenizer, credit) for g in chosen]


def _group_entry(batch: Batch, g: int, tokenizer: PreTrainedTokenizerBase, credit: Any) -> dict:
    group = batch.groups[g]
    start = sum(len(earlier.completions) for earlier in batch.groups[:g])
    counted = batch.counted(g)
    weights = token_weights([completion for _, completion in counted], credit)
    weights_of = {index: weight for (index, _), weight in zip(counted, weights, strict=True)}
    completions = []
    for index, (completion, verdict) in enumerate(zip(group.completions, group.verdicts, strict=True), start):
        scored = index in weights_of
        completions.append(
            {
                "verdict": str(verdict),
                "reward": round(float(batch.reward_R[index]), 6) if scored else None,
                "advantage": round(float(batch.advantage_R[index]), 6) if scored else None,
                "tokens": token_texts(tokenizer, completion.token_ids[:TOKENS]),
                "weights": [round(w, 6) for w in weights_of[index][:TOKENS].tolist()] if scored else None,
            }
        )
    return {
        "problem": group.problem.id,
        "prompt": prompt_text(group),
        # in float64, where the mean of equal weights is that weight
        "focal_weight": round(batch.focal_R[start : start + len(completions)].double().mean().item(), 6),
        "completions": completions,
    }


def prompt_text(group: Group) -> str:
    """The words of a group's problem, message by message."""
    return "\n\n".join(message["content"] for message in group.problem.prompt)


def token_texts(tokenizer: PreTrainedTokenizerBase, token_ids: Sequence[int]) -> list[str]:
    """The text that each token adds. Joined, they are the decoded text, special tokens included.

    A character that several tokens make up together belongs to the last of them; the others are "".
    """
    texts, start, known = [], 0, ""
    for end in range(1, len(token_ids) + 1):
        text = tokenizer.decode(token_ids[start:end], clean_up_tokenization_spaces=False)
        if text.endswith("\ufffd") and end < len(token_ids):  # a part of a character
            texts.append("")
            continue
        texts.append(text[len(known) :])
        start = end - 1  # decode from this token on, so that the time is linear in the length
        known = tokenizer.decode(token_ids[start:end], clean_up_tokenization_spaces=False)
    return texts
