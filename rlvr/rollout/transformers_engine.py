"""Sampling with transformers alone: any device, no server, one prefill a prompt.

Rollouts run in waves of at most `max_rows`. A wave prefills each of its prompts once, copies the
prompt's keys and values to its rollouts, and then draws one token a rollout and step for all of them
together; rows that have ended leave the wave when they are half of it.

What this engine does not do: start a new rollout in the place of one that ended (use vLLM where lengths
differ a lot), and tensor parallelism.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from rlvr.policy.attention import PackedLayout
from rlvr.policy.linear import linear
from rlvr.policy.policy import Policy
from rlvr.problems.problem import Problem
from rlvr.rollout.engine import Sampling
from rlvr.rollout.group import Completion, Group


class PrefillLayout(PackedLayout):
    """Packed prompts; keeps each layer's keys and values, padded on the right, for the decoding."""

    def __init__(self, prompts: Sequence[Sequence[int]], device: torch.device | str):
        super().__init__(prompts, [[] for _ in prompts], device)
        self.keys_values: list[tuple[Tensor, Tensor]] = []
        lengths_P = torch.tensor([len(prompt) for prompt in prompts], device=device)
        self.prompt_lengths_P = lengths_P
        self.last_P = lengths_P.cumsum(0) - 1  # where each prompt's last token stands in the row

    def attend(
        self, layer: int, query_THD: Tensor, key_TKD: Tensor, value_TKD: Tensor, scale: float
    ) -> Tensor:
        self.keys_values.append((self._prompts.pad(key_TKD), self._prompts.pad(value_TKD)))
        return super().attend(layer, query_THD, key_TKD, value_TKD, scale)


class DecodingLayout:
    """One new token a row; every row reads its prompt's keys and values, then its own.

    Rows of shorter prompts have a masked gap between prompt and completion, so that all rows write
    their next token into the same column.
    """

    def __init__(self, prefill: PrefillLayout, prompt_of_row_R: Tensor, max_tokens: int):
        self.lengths_R = prefill.prompt_lengths_P[prompt_of_row_R]
        self.width = int(prefill.prompt_lengths_P.max())
        self.step = 0
        gap_RS = torch.arange(self.width, device=self.lengths_R.device) >= self.lengths_R[:, None]
        self.gap_RS = gap_RS if bool(gap_RS.any()) else None
        self.cache = []
        for prompt_key, prompt_value in prefill.keys_values:
            # heads before columns, as the attention kernel reads them
            block_PKWD = prompt_key.transpose(1, 2), prompt_value.transpose(1, 2)
            rows = []
            for block in block_PKWD:
                heads, size = block.shape[1], block.shape[3]
                # under autocast values come in the lower precision, keys do not: both are kept in it
                buffer = prompt_value.new_empty(len(prompt_of_row_R), heads, self.width + max_tokens, size)
                buffer[:, :, : self.width] = block[prompt_of_row_R]
                rows.append(buffer)
            self.cache.append(tuple(rows))

    def attend(
        self, layer: int, query_RHD: Tensor, key_RKD: Tensor, value_RKD: Tensor, scale: float
    ) -> Tensor:
        key, value = self.cache[layer]
        column = self.width + self.step
        key[:, :, column], value[:, :, column] = key_RKD, value_RKD
        rows, heads, size = query_RHD.shape
        # the query heads that share a key-value head are the "queries" of that head; for so few of them two
        # batched products take two thirds of the time of the fused kernel
        query_RKGD = query_RHD.reshape(rows, key.shape[1], -1, size) * scale
        scores_RKGS = query_RKGD @ key[:, :, : column + 1].transpose(-1, -2)
        if self.gap_RS is not None:
            scores_RKGS[..., : self.width].masked_fill_(self.gap_RS[:, None, None], -torch.inf)
        weights_RKGS = scores_RKGS.softmax(-1, dtype=torch.float32).to(value.dtype)
        output = weights_RKGS @ value[:, :, : column + 1]
        return output.reshape(rows, heads, size)

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows only."""
        self.lengths_R = self.lengths_R[rows]
        self.gap_RS = None if self.gap_RS is None else self.gap_RS[rows]
        self.cache = [(key[rows], value[rows]) for key, value in self.cache]


def draw(logits_RV: Tensor, uniform_R: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """One token a row, by inverting the distribution function, and its log-probability as it was sampled."""
    logits_RV = logits_RV.float()
    if sampling.temperature != 1.0:
        logits_RV = logits_RV / sampling.temperature
    if 0 < sampling.top_k < logits_RV.shape[-1]:
        smallest_R1 = logits_RV.topk(sampling.top_k, dim=-1).values[:, -1:]
        logits_RV = logits_RV.masked_fill(logits_RV < smallest_R1, -torch.inf)
    probabilities_RV = logits_RV.softmax(-1)
    if sampling.top_p < 1.0:
        ordered_RV, order_RV = probabilities_RV.sort(dim=-1, descending=True)
        # a token stays while the mass before it is below top_p, so at least one stays
        dropped_RV = ordered_RV.cumsum(-1) - ordered_RV >= sampling.top_p
        probabilities_RV = probabilities_RV.masked_fill(dropped_RV.scatter(-1, order_RV, dropped_RV), 0.0)
        probabilities_RV = probabilities_RV / probabilities_RV.sum(-1, keepdim=True)
    cumulative_RV = probabilities_RV.cumsum(-1)
    # right=True never picks a token of probability zero
    token_R1 = torch.searchsorted(cumulative_RV, uniform_R[:, None] * cumulative_RV[:, -1:], right=True)
    token_R1 = token_R1.clamp_(max=logits_RV.shape[-1] - 1)
    return token_R1[:, 0], probabilities_RV.gather(-1, token_R1)[:, 0].log()


class TransformersEngine:
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

    @torch.inference_mode()
    def generate(
        self, requests: Sequence[tuple[Problem, int]], sampling: Sampling, *, seed: int
    ) -> list[Group]:
        """See `RolloutEngine.generate`."""
        generator = torch.Generator(self.policy.device).manual_seed(seed)
        groups = [Group(problem, self.policy.encode(problem), []) for problem, _ in requests]
        texts: dict[tuple[int, ...], str] = {}
        for wave in _waves([size for _, size in requests], self.max_rows):
            prompts = [groups[index].prompt_ids for index, _ in wave]
            sizes = [count for _, count in wave]
            with self.policy.autocast(self.precision):
                tokens, logprobs, ended = self._sample_wave(prompts, sizes, sampling, generator)
            row = 0
            for index, count in wave:
                for _ in range(count):
                    ids = tuple(tokens[row])
                    if ids not in texts:
                        texts[ids] = self.policy.tokenizer.decode(ids, skip_special_tokens=True)
                    groups[index].completions.append(
                        Completion(
                            token_ids=tokens[row],
                            logprobs=logprobs[row],
                            text=texts[ids],
                            finish_reason="stop" if ended[row] else "length",
                            policy_version=self.policy_version,
                        )
                    )
                    row += 1
        return groups

    def _sample_wave(
        self, prompts: list[list[int]], sizes: list[int], sampling: Sampling, generator: torch.Generator
    ) -> tuple[list[list[int]], list[list[float]], list[bool]]:
        """Tokens, their log-probabilities and whether each row ended by itself, rows in order."""
        policy, device = self.policy, self.policy.device
        prefill = PrefillLayout(prompts, device)
        hidden_TE = policy.hidden(prefill.tokens_T, prefill.positions_T, prefill)
        prompt_of_row_R = torch.repeat_interleave(
            torch.arange(len(prompts), device=device), torch.tensor(sizes, device=device)
        )
        rows = len(prompt_of_row_R)
        hidden_RE = hidden_TE[prefill.last_P][prompt_of_row_R]
        layout = DecodingLayout(prefill, prompt_of_row_R, sampling.max_tokens)
        ends = torch.tensor(policy.end_ids, device=device)
        uniform_SR = torch.rand(sampling.max_tokens, rows, generator=generator, device=device)
        tokens_RS = torch.zeros(rows, sampling.max_tokens, dtype=torch.int64, device=device)
        logprobs_RS = torch.zeros(rows, sampling.max_tokens, device=device)
        length_R = torch.full((rows,), sampling.max_tokens, device=device)
        ended_R = torch.zeros(rows, dtype=torch.bool, device=device)
        running = torch.arange(rows, device=device)  # rows still in the wave; some may have just ended
        for step in range(sampling.max_tokens):
            token, logprob = draw(linear(hidden_RE, policy.head), uniform_SR[step, running], sampling)
            tokens_RS[running, step], logprobs_RS[running, step] = token, logprob
            ends_now = torch.isin(token, ends) & ~ended_R[running]
            length_R[running[ends_now]] = step + 1
            ended_R[running[ends_now]] = True
            going = ~ended_R[running]
            left = int(going.sum())
            if left == 0 or step + 1 == sampling.max_tokens:
                break
            if 2 * left <= len(running):
                layout.keep(going)
                running, token = running[going], token[going]
            hidden_RE = policy.hidden(token, layout.lengths_R + step, layout)
            layout.step += 1
        lengths = length_R.tolist()
        tokens = [row[:length] for row, length in zip(tokens_RS.tolist(), lengths, strict=True)]
        logprobs = [row[:length] for row, length in zip(logprobs_RS.tolist(), lengths, strict=True)]
        return tokens, logprobs, ended_R.tolist()

    @torch.no_grad()
    def update_weights(self, named_tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """See `RolloutEngine.update_weights`; tensors that are the engine's own are not copied."""
        own = dict(self.policy.model.named_parameters())
        for name, tensor in named_tensors:
            if own[name].data_ptr() != tensor.data_ptr():
                own[name].copy_(tensor)
        self.policy_version = version

    def close(self) -> None:
        """Nothing to free."""


def _waves(sizes: Sequence[int], max_rows: int) -> Iterator[list[tuple[int, int]]]:
    """Split groups into waves of at most `max_rows` rollouts: lists of (group, rollouts of it)."""
    wave: list[tuple[int, int]] = []
    room = max_rows
    for index, size in enumerate(sizes):
        while size:
            count = min(size, room)
            wave.append((index, count))
            size, room = size - count, room - count
            if room == 0:
                yield wave
                wave, room = [], max_rows
    if wave:
        yield wave
