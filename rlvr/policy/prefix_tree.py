"""The prefix tree of a micro-batch: what the rollouts of a group share is there once.

Two rollouts that agree up to a token have one hidden state there, so it is computed once. The tokens stand in
one flat row in depth-first order: each prompt, and after it the distinct prefixes of its completions, sorted.
Everything below a token then stands right after it, and who may attend to whom is one line
(`rlvr.policy.attention.sees`).

The last token of a completion is predicted but never read, unless another completion goes on from there; it
is not in the row at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlvr.algorithms.process_sets import shared_length


@dataclass(frozen=True, slots=True)
class PrefixTree:
    """Groups as one flat row of T tokens.

    N is the number of distinct prefixes, each of which ends in a token to predict from those before it; M is
    the number of completion tokens of all rollouts, at least N. All tensors are int64.

    Attributes:
        tokens_T, positions_T: the row, and each token's position in its own sequence.
        subtree_end_T: the place in the row after the last token that has this one before it.
        predictor_N: the place in the row whose hidden state predicts the last token of a prefix.
        targets_N: those last tokens.
        prefix_M: the prefix that each completion token ends, rollout after rollout.
        lengths_R: completion tokens of each rollout.
        prompt_lengths_G: prompt tokens of each group.
    """

    tokens_T: Tensor
    positions_T: Tensor
    subtree_end_T: Tensor
    predictor_N: Tensor
    targets_N: Tensor
    prefix_M: Tensor
    lengths_R: Tensor
    prompt_lengths_G: Tensor

    @classmethod
    def build(
        cls,
        prompts: Sequence[Sequence[int]],
        completions: Sequence[Sequence[Sequence[int]]],
        device: torch.device | str = "cpu",
    ) -> "PrefixTree":
        """`prompts[g]` are the token ids of group g's prompt, `completions[g]` those of its rollouts."""
        parts: list[tuple[np.ndarray, ...]] = []
        place = prefix = 0
        for prompt, answers in zip(prompts, completions, strict=True):
            parts.append(_rows_of_group(np.asarray(prompt), answers, place, prefix))
            tokens, *_, targets, _ = parts[-1]
            place, prefix = place + len(tokens), prefix + len(targets)
        rows = [np.concatenate(row) for row in zip(*parts, strict=True)]
        rows.append(np.array([len(answer) for answer in chain.from_iterable(completions)], dtype=np.int64))
        rows.append(np.array([len(prompt) for prompt in prompts]))
        return cls(*(torch.from_numpy(row.astype(np.int64)).to(device) for row in rows))

    def __len__(self) -> int:
        return len(self.tokens_T)


def _rows_of_group(
    prompt: np.ndarray, answers: Sequence[Sequence[int]], place: int, prefix: int
) -> tuple[np.ndarray, ...]:
    """One group's part of a tree's first six rows; its row begins at `place`, its prefixes at `prefix`."""
    prefixes = number_prefixes(answers)
    parent_N = prefixes.parent_N
    is_read_N = np.zeros(len(parent_N), dtype=bool)
    is_read_N[parent_N[parent_N >= 0]] = True
    # a prefix stands after the prompt and all prefixes before it that are read; one more place, the row's end
    place_N = place + len(prompt) + np.append(0, is_read_N.cumsum())
    return (
        np.append(prompt, prefixes.target_N[is_read_N]),
        np.append(np.arange(len(prompt)), len(prompt) + prefixes.depth_N[is_read_N]),
        np.append(np.full(len(prompt), place_N[-1]), place_N[prefixes.end_N][is_read_N]),
        np.where(parent_N >= 0, place_N[parent_N], place + len(prompt) - 1),
        prefixes.target_N,
        prefix + np.concatenate([*prefixes.paths, np.empty(0, dtype=np.int64)]),
    )


class Prefixes(NamedTuple):
    """The distinct prefixes of some completions, numbered from 0 on in depth-first order; int64.

    Attributes:
        paths: of each completion, the prefix that each of its tokens ends. Two tokens have one number if
            they, and all tokens before them, are equal.
        target_N: the last token of a prefix.
        depth_N: tokens before that.
        parent_N: the prefix without it; -1 for none.
        end_N: the number after the last prefix that goes on from this one.
    """

    paths: list[np.ndarray]
    target_N: np.ndarray
    depth_N: np.ndarray
    parent_N: np.ndarray
    end_N: np.ndarray


def number_prefixes(completions: Sequence[Sequence[int]]) -> Prefixes:
    """`Prefixes` of token ids; lengths may differ and may be 0."""
    tokens = [np.asarray(completion, dtype=np.int64) for completion in completions]
    nothing = np.empty(0, dtype=np.int64)
    paths = [nothing] * len(tokens)
    end_N = np.empty(sum(map(len, tokens)), dtype=np.int64)
    columns = []
    path = above = nothing
    count = 0
    # sorted, a completion shares most with the one before it; big-endian bytes sort as their numbers do
    for index in sorted(range(len(tokens)), key=[row.astype(">i8").tobytes() for row in tokens].__getitem__):
        shared = shared_length(above, tokens[index])
        end_N[path[shared:]] = count  # nothing more goes on from there
        new = np.arange(count, count + len(tokens[index]) - shared)
        parent = np.append(path[shared - 1] if shared else -1, new[:-1])[: len(new)]
        columns.append((tokens[index][shared:], np.arange(shared, len(tokens[index])), parent))
        paths[index] = path = np.append(path[:shared], new)
        above, count = tokens[index], count + len(new)
    end_N[path] = count
    target_N, depth_N, parent_N = (
        (np.concatenate([nothing, *column]) for column in zip(*columns, strict=True))
        if columns
        else (nothing,) * 3
    )
    return Prefixes(paths, target_N, depth_N, parent_N, end_N[:count])
