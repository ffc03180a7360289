"""The vLLM engine against transformers' forward, on a tiny random Qwen2 (run with `-m vllm`)."""

import gc
import random
import subprocess
import sys
import weakref

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from rlvr.config import Config, ModelConfig
from rlvr.config.schema import LoRAConfig, VLLMRolloutConfig
from rlvr.data import Problem
from rlvr.errors import UserError
from rlvr.policy.adapter import Adapter, trained
from rlvr.policy.policy import Policy
from rlvr.rollout.engine import Sampling

END, ALSO_END = 1, 2  # the tokenizer's end of sequence, and one that only the generation config names
WORDS = ["<pad>", "<eos>", "<eot>", *(f"w{i}" for i in range(58))]  # 61: vLLM pads the vocabulary to 64
SAMPLING = Sampling(max_tokens=24)


def tiny_tokenizer():
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="<eos>", extra_special_tokens=["<eot>"]
    )


def tiny_model(seed, *, tied=True):
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=len(WORDS),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=256,
        tie_word_embeddings=tied,
        eos_token_id=END,
        pad_token_id=0,
        initializer_range=0.12,  # far enough from uniform that wrong weights show
    )
    model = Qwen2ForCausalLM(config).eval()
    model.generation_config.eos_token_id = ALSO_END
    return model


def tiny_engine(folder, **settings):
    from rlvr.rollout.vllm_engine import VLLMEngine

    return VLLMEngine(
        folder,
        tiny_tokenizer(),
        lambda problem: problem.metadata["prompt_ids"],
        VLLMRolloutConfig(enforce_eager=True, **settings),
        max_model_len=256,
        end_ids=[END],
        kv_cache_gib=0.25,
    )


def problem(name, length):
    """A prompt of words drawn by `name`; above 128 tokens, a block of vLLM's CPU cache, it is cached."""
    ids = random.Random(name).choices(range(3, len(WORDS)), k=length)
    return Problem(name, "test", (), "", "none", {"prompt_ids": ids})


REQUESTS = [(problem("long", 140), 4), (problem("short", 3), 1), (problem("other", 150), 7)]


def truncated_logprobs(logits_TV, sampling):
    """Log-probabilities after temperature, then top-k, then top-p: a plain rendering of the definitions."""
    rows = []
    for logits_V in logits_TV / sampling.temperature:
        top_k = sampling.top_k or len(logits_V)
        kept = logits_V.argsort(descending=True)[:top_k]
        mass_before = logits_V[kept].softmax(0).cumsum(0).roll(1)
        mass_before[0] = 0
        kept = kept[mass_before < sampling.top_p]
        rows.append(torch.full_like(logits_V, -torch.inf).index_copy(0, kept, logits_V[kept].log_softmax(0)))
    return torch.stack(rows)


@torch.no_grad()
def disagreement(groups, model, sampling=SAMPLING):
    """Largest difference between the engine's log-probabilities and those of `model` for the same tokens."""
    worst = 0.0
    for group in groups:
        for completion in group.completions:
            tokens = torch.tensor(completion.token_ids)
            logits_TV = model(torch.tensor([group.prompt_ids + completion.token_ids])).logits[0]
            logits_TV = logits_TV[-1 - len(tokens) : -1]
            expected_T = truncated_logprobs(logits_TV, sampling).gather(1, tokens[:, None])[:, 0]
            worst = max(worst, (torch.tensor(completion.logprobs) - expected_T).abs().max().item())
    return worst


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny")
    tiny_model(0).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def shared_engine(folder):
    engine = tiny_engine(folder)
    yield engine
    engine.close()


@pytest.fixture
def engine(shared_engine):
    """With the weights of tiny_model(0), version 0, whatever an earlier test did."""
    shared_engine.update_weights(tiny_model(0).named_parameters(), 0)
    return shared_engine


def test_without_vllm_the_import_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "rlvr.rollout.vllm_engine", raising=False)
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(UserError, match=r"rlvr\[vllm\].*make vllm-env.*rollout=transformers"):
        import rlvr.rollout.vllm_engine  # noqa: F401


@pytest.mark.vllm
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_logprobs_are_the_models_before_and_after_an_update(tmp_path, tied):
    old, new = tiny_model(1, tied=tied), tiny_model(2, tied=tied)
    old.save_pretrained(tmp_path)
    engine = tiny_engine(tmp_path)
    before = engine.generate(REQUESTS, SAMPLING, seed=0)
    again = engine.generate(REQUESTS, SAMPLING, seed=1)  # these prompts come from the prefix cache
    engine.update_weights(new.named_parameters(), 7)
    after = engine.generate(REQUESTS, SAMPLING, seed=0)  # and these must not
    engine.close()

    assert disagreement(before, old) < 1e-5
    assert disagreement(again, old) < 1e-5
    assert disagreement(after, new) < 1e-5
    assert disagreement(after, old) > 1.0  # what an update that did nothing would give
    for groups, version in (before, 0), (after, 7):
        assert [group.problem for group in groups] == [problem for problem, _ in REQUESTS]
        assert [len(group.completions) for group in groups] == [4, 1, 7]
        assert {c.policy_version for group in groups for c in group.completions} == {version}


@pytest.mark.vllm
def test_the_trainer_may_change_its_tensors_after_an_update(engine):
    trainers, kept = tiny_model(3), tiny_model(3)
    engine.update_weights(trainers.named_parameters(), 1)
    with torch.no_grad():
        for parameter in trainers.parameters():
            parameter.zero_()
    assert disagreement(engine.generate(REQUESTS, SAMPLING, seed=0), kept) < 1e-5


@pytest.mark.vllm
def test_a_state_dict_updates_too_and_repeats_the_tied_embedding(engine):
    model = tiny_model(3)
    assert "lm_head.weight" in model.state_dict()
    engine.update_weights(model.state_dict().items(), 1)
    assert disagreement(engine.generate(REQUESTS, SAMPLING, seed=0), model) < 1e-5


@pytest.mark.vllm
def test_an_adapter_arrives_merged(engine, monkeypatch):
    model = tiny_model(3)
    # BA is of the size of W: where one is much larger, (W + BA)x and Wx + BAx differ by 1e-4 of rounding
    adapter = Adapter(model, LoRAConfig(rank=2, alpha=2.0), path="tiny", seed=0)
    for parameter in trained(model).values():
        torch.nn.init.normal_(parameter, std=0.3)
    monkeypatch.setattr(engine, "_merge", adapter.merged)
    engine.update_weights(model.named_parameters(), 1)
    groups = engine.generate(REQUESTS, SAMPLING, seed=0)
    assert disagreement(groups, model) < 1e-5
    with adapter.off():
        assert disagreement(groups, model) > 0.1


@pytest.mark.vllm
def test_an_incomplete_or_foreign_update_is_an_error_that_a_whole_update_heals(engine):
    model = tiny_model(3)
    with pytest.raises(ValueError, match=r"lack 1 parameter.*model\.norm\.weight"):
        engine.update_weights([(n, p) for n, p in model.named_parameters() if n != "model.norm.weight"], 1)
    with pytest.raises(ValueError, match="module"):
        engine.update_weights([("module.model.norm.weight", model.model.norm.weight)], 1)
    assert engine.policy_version == 0
    engine.update_weights(model.named_parameters(), 1)
    assert disagreement(engine.generate(REQUESTS, SAMPLING, seed=0), model) < 1e-5


@pytest.mark.vllm
def test_weights_are_awake_for_the_hand_over_and_the_cache_after_it(engine, monkeypatch):
    """On a CPU vLLM has no sleep mode, so what it is asked for is noted; the hand-over is real."""
    asked = []
    monkeypatch.setattr(engine, "_sleeps", True)
    monkeypatch.setattr(engine._llm, "sleep", lambda level: asked.append(("sleep", level)))
    monkeypatch.setattr(engine._llm, "wake_up", lambda tags: asked.append(("wake_up", tags)))

    def arriving():
        for name, tensor in tiny_model(3).named_parameters():
            if asked[-1] != ("reload",):
                asked.append(("reload",))
            yield name, tensor

    engine.rest()
    with pytest.raises(RuntimeError, match="has no weights"):
        engine.generate(REQUESTS, SAMPLING, seed=1)
    engine.update_weights(arriving(), version=5)
    assert asked == [("sleep", 2), ("wake_up", ["weights"]), ("reload",), ("wake_up", ["kv_cache"])]
    assert engine.generate(REQUESTS, SAMPLING, seed=1)[0].completions[0].policy_version == 5


@pytest.mark.vllm
def test_an_update_warns_of_nothing(engine, caplog, monkeypatch):
    import logging

    monkeypatch.setattr(logging.getLogger("vllm"), "propagate", True)
    with caplog.at_level(logging.WARNING, logger="vllm"):
        engine.update_weights(tiny_model(4).named_parameters(), version=6)
    assert [record.getMessage() for record in caplog.records] == []


@pytest.mark.vllm
def test_logprobs_are_those_of_the_truncated_distribution(engine):
    sampling = Sampling(max_tokens=24, temperature=0.7, top_p=0.8, top_k=6)
    groups = engine.generate(REQUESTS, sampling, seed=0)
    assert disagreement(groups, tiny_model(0), sampling) < 1e-5
    assert disagreement(groups, tiny_model(0)) > 0.1


@pytest.mark.vllm
def test_temperature_0_takes_the_likeliest_token_each_time(engine):
    model = tiny_model(0)
    groups = engine.generate(REQUESTS, Sampling(24, 0.0, top_p=0.5, top_k=3), seed=0)
    for group, (_, count) in zip(groups, REQUESTS, strict=True):
        first = group.completions[0]
        assert [c.token_ids for c in group.completions] == count * [first.token_ids]
        logits_TV = model(torch.tensor([group.prompt_ids + first.token_ids])).logits[0]
        likeliest = logits_TV[len(group.prompt_ids) - 1 : -1].argmax(-1)
        assert likeliest.tolist() == first.token_ids
    assert disagreement(groups, model) < 1e-5  # the policy's own log-probabilities


@pytest.mark.vllm
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_of_what_is_no_distribution_nothing_is_drawn(engine, temperature):
    model = tiny_model(3)
    with torch.no_grad():
        model.model.norm.weight.fill_(torch.nan)
    engine.update_weights(model.named_parameters(), 1)
    with pytest.raises(UserError, match="probabilities are NaN"):
        engine.generate(REQUESTS, Sampling(24, temperature), seed=0)


@pytest.mark.vllm
def test_tokens_depend_on_seed_and_weights_only(engine):
    def tokens(groups):
        return [[completion.token_ids for completion in group.completions] for group in groups]

    first = engine.generate(REQUESTS, SAMPLING, seed=5)
    engine.generate(REQUESTS[:1], SAMPLING, seed=9)
    second = engine.generate(REQUESTS, SAMPLING, seed=5)
    assert tokens(first) == tokens(second)
    assert tokens(first) != tokens(engine.generate(REQUESTS, SAMPLING, seed=6))
    twice = engine.generate([REQUESTS[0], REQUESTS[0]], SAMPLING, seed=5)
    drawn = [tuple(ids) for group in tokens(twice) for ids in group]
    assert len(set(drawn)) == 8  # neither rollouts nor requests share their noise
    some = engine.generate(REQUESTS, SAMPLING, seed=5, only=[(0, range(1, 4)), (2, range(5, 7))])
    assert tokens(some) == [tokens(first)[0][1:4], tokens(first)[2][5:7]]


@pytest.mark.vllm
def test_completions_end_at_either_end_token_or_at_the_maximum_length(engine):
    groups = engine.generate([(problem(str(i), 5), 16) for i in range(8)], SAMPLING, seed=0)
    completions = [completion for group in groups for completion in group.completions]
    last_tokens = set()
    for completion in completions:
        *body, last = completion.token_ids
        assert not {END, ALSO_END} & set(body)
        assert len(completion.logprobs) == len(completion.token_ids) <= SAMPLING.max_tokens
        if last in (END, ALSO_END):
            last_tokens.add(last)
            assert completion.finish_reason == "stop"
        else:
            assert (completion.finish_reason, len(completion.token_ids)) == ("length", SAMPLING.max_tokens)
        assert completion.text.split() == [WORDS[i] for i in completion.token_ids if i > ALSO_END]
    assert last_tokens == {END, ALSO_END}
    assert {completion.finish_reason for completion in completions} == {"stop", "length"}


@pytest.mark.vllm
def test_completions_end_where_their_text_has_a_stop_string(engine, monkeypatch):
    stops = ["w3", "w4 w"]
    monkeypatch.setattr(engine, "_stop_strings", stops)
    groups = engine.generate([(problem(str(i), 5), 16) for i in range(4)], SAMPLING, seed=0)
    ended = 0
    for completion in (completion for group in groups for completion in group.completions):
        assert len(completion.logprobs) == len(completion.token_ids)
        said = [
            " ".join(WORDS[i] for i in completion.token_ids[: n + 1] if i > ALSO_END)
            for n in range(len(completion.token_ids))
        ]
        assert not any(stop in text for text in said[:-1] for stop in stops)
        if any(stop in said[-1] for stop in stops):
            ended += 1
            assert completion.finish_reason == "stop"
            assert any(said[-1].startswith(completion.text + stop) for stop in stops)
        else:
            assert completion.text == said[-1]
    assert 0 < ended < 64


@pytest.mark.vllm
def test_more_prompt_tokens_than_one_step_of_vllm_takes(engine):
    requests = [(problem(str(i), 100), 1) for i in range(60)]  # 6,000 tokens; a step takes 4,096
    assert disagreement(engine.generate(requests, Sampling(4), seed=0), tiny_model(0), Sampling(4)) < 1e-5


@pytest.mark.vllm
def test_the_trainers_random_state_and_threads_are_left_alone(tmp_path):
    def state():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()

    model = tiny_model(0)
    model.save_pretrained(tmp_path)
    threads, before = torch.get_num_threads(), state()
    engine = tiny_engine(tmp_path)
    engine.generate(REQUESTS, SAMPLING, seed=0)
    engine.update_weights(model.named_parameters(), 1)
    engine.close()
    assert state() == before
    torch.set_num_threads(threads + 1)  # vLLM would make this do nothing
    assert torch.get_num_threads() == threads + 1
    torch.set_num_threads(threads)


@pytest.mark.vllm
def test_the_engine_of_a_config_has_the_policys_prompts_ends_and_weights(folder):
    from rlvr.rollout.vllm_engine import build_vllm_engine

    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{% for message in messages %}{{ message.content }}{% endfor %}"
    rollout = VLLMRolloutConfig(enforce_eager=True)
    config = Config(model=ModelConfig(path=str(folder)), rollout=rollout)
    policy = Policy(tiny_model(4), tokenizer, stop_strings=["w5"])
    engine = build_vllm_engine(config, policy, sequence=27)
    engine.update_weights(policy.weights(), version=0)
    model = weakref.ref(policy.model)
    del policy
    gc.collect()
    assert model() is None  # the trainer's weights are not the engine's to keep
    assert engine.max_model_len == 27 == engine._llm.llm_engine.model_config.max_model_len
    question = Problem("words", "test", ({"role": "user", "content": "w1 w2 w3"},), "", "none")
    groups = engine.generate([(question, 8)], SAMPLING, seed=0)
    engine.close()
    assert not any("w5" in completion.text for completion in groups[0].completions)
    assert any(WORDS[c.token_ids[-1]].startswith("w5") for c in groups[0].completions)
    assert groups[0].prompt_ids == [4, 5, 6]
    assert disagreement(groups, tiny_model(4)) < 1e-5


@pytest.mark.vllm
def test_a_prompt_that_does_not_fit_is_refused(engine):
    with pytest.raises(UserError, match=r"max_tokens=24 .* problem long has 250 tokens.*256 .*max_tokens=6$"):
        engine.generate([(problem("long", 250), 1)], SAMPLING, seed=0)


@pytest.mark.vllm
def test_tensor_parallelism_needs_that_many_ranks(folder):
    with pytest.raises(UserError, match=r"tensor_parallel_size=2.*1 torchrun rank"):
        tiny_engine(folder, tensor_parallel_size=2)


@pytest.mark.vllm
@pytest.mark.slow
def test_two_ranks_each_alone_and_then_sharing_a_model(folder):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", __file__, str(folder)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert finished.returncode == 0, finished.stderr[-4000:]


def rank_main(folder):
    """What each rank of the test above runs: log-probs before and after an update, then the next engine."""
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    for tensor_parallel_size in 1, 2:
        engine = tiny_engine(folder, tensor_parallel_size=tensor_parallel_size)
        requests = REQUESTS[rank:] if tensor_parallel_size == 1 else REQUESTS
        assert disagreement(engine.generate(requests, SAMPLING, seed=0), tiny_model(0)) < 1e-5
        engine.update_weights(tiny_model(1).named_parameters(), 1)
        groups = engine.generate(requests, SAMPLING, seed=0)
        assert disagreement(groups, tiny_model(1)) < 1e-5
        assert disagreement(groups, tiny_model(0)) > 1.0
        engine.close()
        torch.distributed.barrier()  # the trainer's process group outlives the engine
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    rank_main(sys.argv[1])


@pytest.mark.vllm
def test_engine_arguments_are_passed_on_unless_they_are_rlvrs(folder):
    engine = tiny_engine(folder, engine_args={"max_num_seqs": 3})
    assert engine._llm.llm_engine.vllm_config.scheduler_config.max_num_seqs == 3
    engine.close()
    with pytest.raises(UserError, match=r"rollout.engine_args.dtype: it is set by rlvr"):
        tiny_engine(folder, engine_args={"dtype": "float16"})
    with pytest.raises(UserError, match=r"unknown engine argument of vLLM 'max_num_seq'.*max_num_seqs"):
        tiny_engine(folder, engine_args={"max_num_seq": 3})
