"""Sampling with vLLM inside the trainer's own process, on CPU or GPU.

The engine lives where the trainer lives, so new weights are handed over by reference and copied in place,
tensor by tensor: no file, no second process, no restart. Under torchrun every rank builds an engine of its
own; `tensor_parallel_size` consecutive ranks then share one copy of the model.

What this engine does not do: quantise, or stop at a stop string (vLLM would
need a tokenizer of its own for it): it samples on, and what comes after is cut off.
"""

import gc
import logging
import os
import random
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerBase

from rlvr.config import Config
from rlvr.config.schema import VLLMRolloutConfig
from rlvr.data import Completion, Group, Problem
from rlvr.data.group import before, has_any
from rlvr.errors import UserError, unknown
from rlvr.policy.location import find
from rlvr.policy.policy import Policy
from rlvr.rollout.engine import Part, RolloutEngine, Sampling, not_numbers
from rlvr.rollout.lengths import check_fits, context_of

# vLLM reads these when it is imported. A process of its own would need the weights sent to it.
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")

try:
    from vllm import LLM, EngineArgs, SamplingParams
    from vllm.distributed.parallel_state import destroy_model_parallel
except ModuleNotFoundError as error:
    if error.name != "vllm":
        raise
    raise UserError(
        "rollout=vllm was given but vLLM is not installed: run `pip install 'rlvr[vllm]'` for GPUs or "
        "`make vllm-env` for CPUs, or choose rollout=transformers"
    ) from error

# at each update vLLM warns of layers that have tables of their own and no weights to arrive (rotary
# embeddings); weights that do not arrive are an error of `update_weights`
logging.getLogger("vllm.model_executor.model_loader.reload.layerwise").addFilter(
    lambda record: "Failed to load weights" not in record.msg
)

CPU_KV_CACHE_GIB = 1.0

NamedTensors = Iterable[tuple[str, Tensor]]
Merge = Callable[[NamedTensors], Iterator[tuple[str, Tensor]]]


def build_vllm_engine(config: Config, policy: Policy, sequence: int | None = None) -> "VLLMEngine":
    """The engine a config names, with the weights of its model's files; see `build_engine`."""
    # under autocast the weights stay float32 and the forward is in `precision`; so it is here
    dtype = config.training.precision if config.model.dtype == "float32" else config.model.dtype
    return VLLMEngine(
        find(config.model),
        policy.tokenizer,
        policy.encoder,
        config.rollout,
        max_model_len=sequence or context_of(policy.model.config),
        end_ids=policy.end_ids,
        stop_strings=policy.stop_strings,
        dtype=dtype,
        merge=policy.adapter.merged if policy.adapter else iter,
    )


class VLLMEngine(RolloutEngine):
    """A `RolloutEngine` on vLLM; the n rollouts of a problem are one request and share its prefill.

    Log-probabilities are vLLM's "processed" ones: of the distribution after temperature, top-p and top-k,
    that is, the one the tokens were sampled from. (vLLM's default, "raw", is before all three.) At
    temperature 0 they are of the policy's own, see `Sampling`; vLLM decodes a prompt greedily once, and all
    its rollouts are that one.

    Completions end at `end_ids` and at the end-of-sequence tokens of the generation config.

    Args:
        model_path: folder or hub id of the initial weights and their config; no code from it is run.
        tokenizer: decodes completions.
        encode_prompt: token ids of a problem's prompt.
        settings: the config's. With `tensor_parallel_size` above 1 it needs torchrun, and the ranks of a copy
            must be given the same requests, seed and weights. `enable_prefix_caching` keeps the KV cache of
            prompts between calls; new weights clear it. `sleep` gives the GPU's memory back in `rest`, and
            takes it again for `update_weights` (nothing on CPU; not with PyTorch's expandable segments).
        max_model_len: most tokens of a prompt and its completion together; None: what vLLM finds.
        end_ids: tokens that end a completion.
        stop_strings: texts that end a completion too.
        dtype: of weights, activations and KV cache: "float32", "bfloat16" or "float16".
        kv_cache_gib: size of the KV cache in GiB; by default 1 on CPU, and on GPU what
            `gpu_memory_utilization` leaves over.
        merge: what makes of the tensors that `update_weights` is given those of the model at `model_path`.

    Raises:
        UserError: when `tensor_parallel_size` does not divide the number of ranks, and for engine arguments
            that vLLM does not have or that are set here.
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str],
        tokenizer: PreTrainedTokenizerBase,
        encode_prompt: Callable[[Problem], list[int]],
        settings: VLLMRolloutConfig,
        *,
        max_model_len: int | None,
        end_ids: list[int],
        stop_strings: Sequence[str] = (),
        dtype: str = "float32",
        kv_cache_gib: float | None = None,
        merge: Merge = iter,
    ):
        ranks = _ranks_that_share(settings.tensor_parallel_size)
        on_gpu = torch.cuda.is_available()
        if kv_cache_gib is None and not on_gpu:
            kv_cache_gib = CPU_KV_CACHE_GIB
        self.policy_version = 0
        self.max_model_len = max_model_len
        self._tokenizer = tokenizer
        self._stop_token_ids = end_ids
        self._stop_strings = stop_strings
        self._encode_prompt = encode_prompt
        self._parameter_names = _parameter_names(model_path)
        self._merge = merge
        self._sleeps = settings.sleep and on_gpu
        self._asleep = False
        self._owns_process_group = not torch.distributed.is_initialized()
        # vLLM compiles a helper of its log-probabilities even when told to be eager
        self._stance = nullcontext
        if settings.enforce_eager:
            self._stance = lambda: torch.compiler.set_stance("force_eager")
        own = {
            "model": str(model_path),
            "skip_tokenizer_init": True,
            "max_model_len": max_model_len,
            "dtype": dtype,
            "kv_cache_memory_bytes": kv_cache_gib and int(kv_cache_gib * 2**30),
            "gpu_memory_utilization": settings.gpu_memory_utilization,
            "tensor_parallel_size": settings.tensor_parallel_size,
            "distributed_executor_backend": "external_launcher" if ranks > 1 else "uni",
            "enforce_eager": settings.enforce_eager,
            # a seeded request whose prefill is cut in two crashes vLLM on CPU ("no offset")
            "enable_chunked_prefill": on_gpu,
            "enable_prefix_caching": settings.enable_prefix_caching,
            "enable_sleep_mode": self._sleeps,
            "logprobs_mode": "processed_logprobs",
        }
        with _process_state_kept():
            self._llm = LLM(**own, **further_arguments(settings.engine_args, own))

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
            UserError: when a prompt leaves less than `sampling.max_tokens` of `max_model_len`, and when the
                policy's probabilities are no numbers.
        """
        parts = [(i, range(size)) for i, (_, size) in enumerate(requests)] if only is None else only
        groups = [Group(requests[i][0], self._encode_prompt(requests[i][0]), []) for i, _ in parts]
        check_fits(groups, sampling.max_tokens, self.max_model_len)
        parameters = [
            SamplingParams(
                n=1 if sampling.is_greedy else len(rollouts),
                max_tokens=sampling.max_tokens,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                top_k=sampling.top_k,
                seed=_request_seed(seed, i) + rollouts.start,
                stop_token_ids=self._stop_token_ids,
                logprobs=0,  # of the sampled token and no other
                flat_logprobs=True,
                detokenize=False,
            )
            for i, rollouts in parts
        ]
        if self._asleep:
            raise RuntimeError("the engine rests and has no weights: it samples after `update_weights`")
        with _process_state_kept(), self._stance():
            prompts = [{"prompt_token_ids": group.prompt_ids} for group in groups]
            outputs = self._llm.generate(prompts, parameters, use_tqdm=False)
        for group, output in zip(groups, outputs, strict=True):
            samples = output.outputs
            if not all(np.isfinite(s.logprobs.logprobs).all() for s in samples):
                raise not_numbers()
            texts = self._tokenizer.batch_decode([s.token_ids for s in samples], skip_special_tokens=True)
            group.completions = [
                self._cut(
                    Completion(
                        list(s.token_ids), s.logprobs.logprobs, text, s.finish_reason, self.policy_version
                    )
                )
                for s, text in zip(samples, texts, strict=True)
            ]
        if sampling.is_greedy:
            for group, (_, rollouts) in zip(groups, parts, strict=True):
                (completion,) = group.completions
                group.completions = [deepcopy(completion) for _ in rollouts]
        return groups

    def _cut(self, completion: Completion) -> Completion:
        """A completion up to the token that completes a stop string, if one does."""
        if not has_any(completion.text, self._stop_strings):
            return completion

        def has_stop_string(length: int) -> bool:
            said = self._tokenizer.decode(completion.token_ids[:length], skip_special_tokens=True)
            return has_any(said, self._stop_strings)

        length = 1 + bisect_left(range(1, len(completion.token_ids)), True, key=has_stop_string)
        return replace(
            completion,
            token_ids=completion.token_ids[:length],
            logprobs=completion.logprobs[:length],
            text=before(completion.text, self._stop_strings),
            finish_reason="stop",
        )

    def update_weights(self, named_tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """See `RolloutEngine.update_weights`.

        Tensors are full (not sharded), on any device and in any floating dtype; those of one layer should
        follow one another, as `named_parameters` gives them, so that one layer is in flight at a time.
        They are copied: the engine keeps nothing of the trainer's. Tied embeddings may come once or twice.

        Raises:
            ValueError: for a name the model does not have, and when a parameter of the model is missing.
        """
        missing = set(self._parameter_names)

        def arriving() -> Iterator[tuple[str, Tensor]]:
            for name, tensor in self._merge(named_tensors):
                missing.discard(name)
                yield name, tensor.detach()

        self._wake("weights")
        with _process_state_kept():
            self._llm.collective_rpc("reload_weights", kwargs={"weights_iterator": arriving()})
            self._llm.apply_model(_repack_tied_head)
        if missing:  # vLLM only warns, and would sample from a mixture of old and new weights
            raise ValueError(f"the new weights lack {len(missing)} parameter(s), {min(missing)} among them")
        self._wake("kv_cache")  # not before: the weights of both are in memory while they are handed over
        self._asleep = False
        if not self._llm.reset_prefix_cache():
            raise RuntimeError("vLLM did not drop the KV cache of the old weights")
        self.policy_version = version

    def rest(self) -> None:
        """Drop weights and KV cache, if `sleep` was asked for: `update_weights` brings whole ones."""
        if self._sleeps and not self._asleep:
            self._llm.sleep(level=2)
            self._asleep = True

    def _wake(self, *tags: str) -> None:
        """Take GPU memory back after `rest`, that of all where no tags are given."""
        if self._asleep:
            torch.cuda.empty_cache()  # what the trainer has freed but PyTorch still holds
            self._llm.wake_up(list(tags) or None)

    def close(self) -> None:
        """Free the weights and the KV cache, and end the process group if it was vLLM that made it."""
        self._wake()
        engine = self._llm.llm_engine
        if self._owns_process_group:
            engine.engine_core.shutdown()
        else:  # the same, less the end of the default process group, which is the trainer's
            engine.engine_core._finalizer.detach()
            engine.model_executor.shutdown()
            destroy_model_parallel()
        del self._llm, engine
        gc.collect()
        torch.cuda.empty_cache()


def _ranks_that_share(tensor_parallel_size: int) -> int:
    """The number of ranks, which a copy of the model on so many must divide."""
    ranks = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
    if ranks % tensor_parallel_size:
        raise UserError(
            f"rollout.tensor_parallel_size={tensor_parallel_size} was given with {ranks} torchrun "
            "rank(s): accepted are divisors of the number of ranks, 1 always"
        )
    return ranks


def further_arguments(given: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Engine arguments of a person, which must be vLLM's and none that are set here."""
    for name in given:
        if name in own:
            raise UserError(
                f"rollout.engine_args.{name}: it is set by rlvr; accepted are arguments that have no key of "
                "their own below rollout, and do not decide what is sampled"
            )
        if name not in (names := [field.name for field in fields(EngineArgs)]):
            raise unknown("engine argument of vLLM", name, names)
    return dict(given)


def _request_seed(seed: int, index: int) -> int:
    """Seed of the request at `index`; vLLM gives its n rollouts seed, seed + 1, ..., seed + n - 1.

    Drawn from 62 bits, so that the rollouts of different requests do not meet.
    """
    return int(np.random.SeedSequence((seed, index)).generate_state(1, np.uint64)[0] >> np.uint64(2))


def _repack_tied_head(model: torch.nn.Module) -> None:
    """On CPU vLLM multiplies by packed copies of the weights; the copy of an output embedding that is tied
    to the input embedding stays the old one in a reload, for it has no tensor of its own to arrive."""
    head = getattr(model, "lm_head", None)
    if head is not None:
        head.quant_method.process_weights_after_loading(head)


def _parameter_names(model_path: str | os.PathLike[str]) -> set[str]:
    """Names of the transformers model's parameters, tied ones once; no weights are loaded."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model_path))
    return {name for name, _ in model.named_parameters()}


@contextmanager
def _process_state_kept() -> Iterator[None]:
    """Undo what vLLM does to the process: it seeds and draws from the global random generators, and sets
    (on CPU, replaces) torch's thread count. The trainer's results must not depend on its engine."""
    python, numpy = random.getstate(), np.random.get_state()
    threads, set_num_threads = torch.get_num_threads(), torch.set_num_threads
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_num_threads = set_num_threads
        torch.set_num_threads(threads)
