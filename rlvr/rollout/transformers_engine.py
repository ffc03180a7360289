"""Sampling with transformers alone: any device, no server, one prefill a prompt.

Rollouts run in waves of at most `max_rows`. A wave prefills each of its prompts once, and then draws one
token a rollout and step for all of them together. Rollouts of a prompt that have drawn the same tokens so
far are one *node* of its tree of prefixes: the model computes a step of a node once, and every rollout
there draws its own next token from it. So a policy that repeats itself is sampled faster, from the very
same distribution.

What this engine does not do: start a new rollout in the place of one that ended (use vLLM where lengths
differ a lot), and tensor parallelism.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

import torch
from torch import Tensor

from rlvr.data import Completion, Group, Problem
from rlvr.data.group import before, has_any
from rlvr.policy.attention import Layout
from rlvr.policy.blocks import prompt_places, rows_and_columns, rows_at, take, widened
from rlvr.policy.policy import Policy
from rlvr.policy.prefix_tree import PrefixTree
from rlvr.rollout.draws import sample_tokens
from rlvr.rollout.engine import Part, RolloutEngine, Sampling
from rlvr.rollout.lengths import check_fits, context_of


class PrefillLayout:
    """Attention of prompts alone, which keeps each layer's scaled keys and its values for decoding.

    Args:
        tree: the prompts, without completions.
        attention: the tree's, as for training.
    """

    def __init__(self, tree: PrefixTree, attention: Layout):
        self.attention = attention
        self.keys_values: list[tuple[Tensor, Tensor]] = []
        self.lengths_P = tree.prompt_lengths_G
        self.last_P = self.lengths_P.cumsum(0) - 1  # where each prompt's last token stands in the row
        self.cached_PW = widened(prompt_places(tree))  # padded on the right

    def __len__(self) -> int:
        return len(self.attention)

    def attend(
        self, layer: int, query_THD: Tensor, key_TKD: Tensor, value_TKD: Tensor, scale: float
    ) -> Tensor:
        # under autocast keys may come in the higher precision; both are kept in the lower one
        key_PKDW = take((key_TKD * scale).to(value_TKD.dtype), self.cached_PW).transpose(-1, -2)
        self.keys_values.append((key_PKDW.contiguous(), take(value_TKD, self.cached_PW).contiguous()))
        return self.attention.attend(layer, query_THD, key_TKD, value_TKD, scale)


class DecodingLayout:
    """One new token a node, which is a prompt or what rollouts of it have said so far and agree on.

    Every node reads its prompt's keys and values, which are there once, and then its own. The nodes of a
    prompt read them together: P prompts have up to Q nodes each, and S in all.

    Attributes:
        prompt_S: int64, the prompt of each node.
        lengths_S: int64, tokens of that prompt.
        filled: tokens that the nodes have said.
    """

    def __init__(self, prefill: PrefillLayout, max_tokens: int):
        """The nodes are the prompts."""
        self.prompt_cache = prefill.keys_values
        self.lengths_P = prefill.lengths_P
        columns_W = torch.arange(prefill.cached_PW.shape[1], device=self.lengths_P.device)
        self.gap_P11W = (columns_W >= self.lengths_P[:, None])[:, None, None]
        self.filled = 0
        # scaled keys [nodes, heads, D, tokens], values [nodes, heads, tokens, D], as the products read them
        self.cache = [
            (
                key.new_empty(*key.shape[:3], max_tokens),
                value.new_empty(*value.shape[:2], max_tokens, value.shape[3]),
            )
            for key, value in self.prompt_cache
        ]
        self._assign_slots(torch.arange(len(self.lengths_P), device=self.lengths_P.device))

    def __len__(self) -> int:
        return len(self.prompt_S)

    def branch(self, parent_S: Tensor) -> Tensor:
        """Go on with other nodes: each follows one of the present nodes.

        Args:
            parent_S: int64, the place of the node that each new one follows; sorted.

        Returns:
            The place of each new node, int64 [S], all of 0 to S - 1.
        """
        count = len(parent_S)
        # the first to follow a node takes its place, unless that is too far back; others go into the gaps
        is_first_S = parent_S.diff(prepend=parent_S.new_tensor([-1])) != 0
        stays_S = is_first_S & (parent_S < count)
        is_free_S = torch.ones_like(stays_S).index_fill_(0, parent_S[stays_S], False)
        moved_from, moved_to = parent_S[~stays_S], is_free_S.nonzero()[:, 0]
        if count > len(self.cache[0][0]):
            self.cache = [tuple(_with_rows(2 * count, block) for block in layer) for layer in self.cache]
        if len(moved_to) and self.filled:
            for block in chain.from_iterable(self.cache):
                block.index_copy_(0, moved_to, block.index_select(0, moved_from))
        slot_S = parent_S.clone()
        slot_S[~stays_S] = moved_to
        self._assign_slots(torch.empty_like(parent_S).index_copy_(0, slot_S, self.prompt_S[parent_S]))
        return slot_S

    def attend(
        self, layer: int, query_SHD: Tensor, key_SKD: Tensor, value_SKD: Tensor, scale: float
    ) -> Tensor:
        nodes, (heads, size) = len(self), query_SHD.shape[1:]
        query_SHD, key_SKD, value_SKD = query_SHD[:nodes], key_SKD[:nodes], value_SKD[:nodes]
        key_PKDW, value_PKWD = self.prompt_cache[layer]
        key_SKDT, value_SKTD = (block[:nodes] for block in self.cache[layer])
        torch.mul(key_SKD, scale, out=key_SKDT[..., self.filled])
        value_SKTD[:, :, self.filled] = value_SKD
        key_SKDT, value_SKTD = key_SKDT[..., : self.filled + 1], value_SKTD[:, :, : self.filled + 1]
        # the query heads that share a key-value head are the "queries" of that head; for so few of them two
        # batched products take two thirds of the time of the fused kernel
        query_SKGD = query_SHD.reshape(nodes, key_SKD.shape[1], -1, size).to(key_SKDT.dtype)
        scores_PKLW = self._group_by_prompt(query_SKGD) @ key_PKDW
        scores_PKLW.masked_fill_(self.gap_P11W, -torch.inf)
        scores_SKGW = torch.cat([self._split_by_node(scores_PKLW), query_SKGD @ key_SKDT], dim=-1)
        weights_SKGW = scores_SKGW.softmax(-1, dtype=torch.float32).to(value_SKTD.dtype)
        of_prompt, own = weights_SKGW.split([key_PKDW.shape[-1], self.filled + 1], dim=-1)
        output_SKGD = self._split_by_node(self._group_by_prompt(of_prompt) @ value_PKWD) + own @ value_SKTD
        return output_SKGD.reshape(nodes, heads, size)

    def _assign_slots(self, prompt_S: Tensor) -> None:
        """Note whose nodes stand where, and where each will stand among those of its prompt."""
        counts_P = prompt_S.bincount(minlength=len(self.lengths_P))
        running_P = counts_P.nonzero()[:, 0]
        if 2 * len(running_P) <= len(self.lengths_P):  # the others have ended
            prompt_S = ((counts_P > 0).cumsum(0) - 1)[prompt_S]
            counts_P, self.lengths_P = counts_P[running_P], self.lengths_P[running_P]
            self.gap_P11W = self.gap_P11W[running_P]
            self.prompt_cache = [(key[running_P], value[running_P]) for key, value in self.prompt_cache]
        self.prompt_S, self.lengths_S = prompt_S, self.lengths_P[prompt_S]
        order_S = prompt_S.argsort(stable=True)
        rank_S = torch.empty_like(prompt_S)
        rank_S[order_S] = rows_and_columns(counts_P)[1]
        width = int(counts_P.max())
        heads = self.prompt_cache[0][1].shape[1]
        head_K = torch.arange(heads, device=prompt_S.device)
        slot_SK = (prompt_S[:, None] * heads + head_K) * width + rank_S[:, None]
        node_PKQ = prompt_S.new_zeros(len(self.lengths_P), heads, width)
        node_PKQ.view(-1)[slot_SK] = torch.arange(slot_SK.numel(), device=prompt_S.device).view_as(slot_SK)
        self._slot_SK, self._node_PKQ = slot_SK, node_PKQ

    def _group_by_prompt(self, tensor_SKGX: Tensor) -> Tensor:
        """[P, K, Q x G, X]: the nodes of each prompt side by side, and any where it has fewer than Q."""
        rows = rows_at(self._node_PKQ, tensor_SKGX.flatten(0, 1).flatten(1))
        return rows.view(*self._node_PKQ.shape[:2], -1, tensor_SKGX.shape[-1])

    def _split_by_node(self, tensor_PKLX: Tensor) -> Tensor:
        """[S, K, G, X] again."""
        rows = rows_at(self._slot_SK, tensor_PKLX.reshape(self._node_PKQ.numel(), -1))
        return rows.view(*self._slot_SK.shape, -1, tensor_PKLX.shape[-1])


def _with_rows(count: int, block: Tensor) -> Tensor:
    """A copy with more rows, which nobody has written."""
    longer = block.new_empty(count, *block.shape[1:])
    longer[: len(block)] = block
    return longer


class TransformersEngine(RolloutEngine):
    """Samples from `policy`, which may be the trainer's own: then new weights need no copy.

    Args:
        policy: the model to sample from.
        max_rows: rollouts that run together; bounds memory.
        precision: of the forward, "float32" or "bfloat16", as the trainer's.
    """

    def __init__(self, policy: Policy, *, max_rows: int = 1024, precision: str = "float32"):
        self.policy = policy
        self.max_rows = max_rows
        self.precision = precision
        self.policy_version = 0

    def generate(
        self,
        requests: Sequence[tuple[Problem, int]],
        sampling: Sampling,
        *,
        seed: int,
        only: Sequence[Part] | None = None,
    ) -> list[Group]:
        """See `RolloutEngine.generate`.

        Raises:
            UserError: when a prompt leaves less than `sampling.max_tokens` of the model's context.
        """
        policy, device = self.policy, self.policy.device
        generator = torch.Generator(device).manual_seed(seed)
        whole = [(index, range(size)) for index, (_, size) in enumerate(requests)]
        parts = whole if only is None else only
        problems = [requests[index][0] for index, _ in parts]
        groups = [Group(problem, policy.encode(problem), []) for problem in problems]
        check_fits(groups, sampling.max_tokens, context_of(policy.model.config))
        group_at = {(index, i): group for group, (index, rollouts) in enumerate(parts) for i in rollouts}
        places = [(index, i) for index, rollouts in whole for i in rollouts]
        texts: dict[tuple[int, ...], str] = {}
        with policy.kernels.sampling(policy.model):
            for start in range(0, len(places), self.max_rows):
                whole_wave = places[start : start + self.max_rows]
                # drawn for all rollouts of the wave, whichever of them are sampled here
                shape = sampling.max_tokens, len(whole_wave)
                uniform_TR = torch.rand(shape, generator=generator, device=device, dtype=torch.float64)
                wave = [group_at[place] for place in whole_wave if place in group_at]
                if len(wave) < len(whole_wave):
                    is_wanted = [place in group_at for place in whole_wave]
                    uniform_TR = uniform_TR[:, torch.tensor(is_wanted, device=device)]
                if not wave:
                    continue
                sizes = Counter(wave)
                prompts = [groups[group].prompt_ids for group in sizes]
                with policy.autocast(self.precision):
                    rows = self._sample_wave(prompts, list(sizes.values()), sampling, uniform_TR)
                for group, token_ids, logprobs, ended in zip(wave, *rows, strict=True):
                    if (ids := tuple(token_ids)) not in texts:
                        text = policy.tokenizer.decode(ids, skip_special_tokens=True)
                        texts[ids] = before(text, policy.stop_strings)
                    reason = "stop" if ended else "length"
                    groups[group].completions.append(
                        Completion(token_ids, logprobs, texts[ids], reason, self.policy_version)
                    )
        return groups

    def _sample_wave(
        self, prompts: list[list[int]], sizes: list[int], sampling: Sampling, uniform_TR: Tensor
    ) -> tuple[list[list[int]], list[list[float]], list[bool]]:
        """Tokens, their log-probabilities and whether each row ended by itself, rows in order."""
        policy, device = self.policy, self.policy.device
        vocabulary = len(policy.head.weight)
        tree = PrefixTree.build(prompts, [[] for _ in prompts], device)
        prefill = PrefillLayout(tree, policy.kernels.attention(tree))
        hidden_SE = policy.hidden(tree.tokens_T, tree.positions_T, prefill)[prefill.last_P]
        layout = DecodingLayout(prefill, sampling.max_tokens)
        ends = torch.tensor(policy.end_ids, device=device)
        rows = sum(sizes)
        tokens_RT = torch.zeros(rows, sampling.max_tokens, dtype=torch.int64, device=device)
        logprobs_RT = torch.zeros(rows, sampling.max_tokens, device=device)
        length_R = torch.full((rows,), sampling.max_tokens, device=device)
        ended_R = torch.zeros(rows, dtype=torch.bool, device=device)
        running = torch.arange(rows, device=device)  # rows that have not ended
        node = torch.repeat_interleave(torch.tensor(sizes, device=device))  # of each of them
        # by the layers as they are: compiled ones (training.compile) convert all weights at every call, since
        # torch traces them without autocast's cache
        with torch.compiler.set_stance("force_eager"):
            for step in range(sampling.max_tokens):
                logits_SV = policy.logits(hidden_SE)
                token, logprob = sample_tokens(logits_SV, node, uniform_TR[step, running], sampling)
                tokens_RT[running, step], logprobs_RT[running, step] = token, logprob
                ends_now = torch.isin(token, ends)
                if policy.stop_strings:
                    ends_now |= self._has_stop_string(tokens_RT[running, : step + 1])
                length_R[running[ends_now]] = step + 1
                ended_R[running[ends_now]] = True
                running, node, token = running[~ends_now], node[~ends_now], token[~ends_now]
                if len(running) == 0 or step + 1 == sampling.max_tokens:
                    break
                # rollouts of one node that drew one token are at one node again
                distinct_S, node = (node * vocabulary + token).unique(return_inverse=True)
                slot_S = layout.branch(distinct_S // vocabulary)
                node = slot_S[node]
                token_S = torch.empty_like(slot_S).index_copy_(0, slot_S, distinct_S % vocabulary)
                hidden_SE = policy.hidden(token_S, layout.lengths_S + step, layout)
                layout.filled += 1
        lengths = length_R.tolist()
        tokens = [row[:length] for row, length in zip(tokens_RT.tolist(), lengths, strict=True)]
        logprobs = [row[:length] for row, length in zip(logprobs_RT.tolist(), lengths, strict=True)]
        return tokens, logprobs, ended_R.tolist()

    def _has_stop_string(self, tokens_RT: Tensor) -> Tensor:
        """Which rows' last tokens say a stop string, bool [R]; every row is decoded, at every token."""
        # a token is a byte at least, so this many can't begin after a stop string has begun
        tail = max(len(stop.encode()) for stop in self.policy.stop_strings)
        texts = self.policy.tokenizer.batch_decode(tokens_RT[:, -tail:].tolist(), skip_special_tokens=True)
        found = [has_any(text, self.policy.stop_strings) for text in texts]
        return torch.tensor(found, device=tokens_RT.device)

    @torch.no_grad()
    def update_weights(self, named_tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """See `RolloutEngine.update_weights`; tensors that are the engine's own are not copied."""
        own = dict(self.policy.model.named_parameters())
        for name, tensor in named_tensors:
            if own[name].data_ptr() != tensor.data_ptr():
                own[name].copy_(tensor)
        self.policy_version = version
