"""A model's files are whole, or named: nothing random takes the place of what is missing."""

import json
import os
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, CohereConfig, GptOssConfig, GraniteConfig, PhiConfig

from rlvr.errors import UserError
from rlvr.policy.attention import DenseAttention
from rlvr.policy.location import digests_of_files
from rlvr.policy.policy import EMBEDDED, Policy, load_policy
from rlvr.policy.prefix_tree import PrefixTree
from rlvr.policy.trial import check_model

Weights = dict[str, Tensor]
SMALL = {
    **{"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1},
    **{"intermediate_size": 16, "vocab_size": 64, "pad_token_id": 0, "eos_token_id": 1},
}


@pytest.fixture
def change(tmp_path: Path) -> Callable[..., Path]:
    """A copy of the embedded policy with other weights or another config."""

    def changed(
        weights: Callable[[Weights], Weights] | None = None, config: Callable[[dict], dict] | None = None
    ) -> Path:
        folder = tmp_path / "model"
        shutil.copytree(EMBEDDED, folder)
        if weights:
            file = folder / "model.safetensors"
            save_file(weights(load_file(file)), file, metadata={"format": "pt"})
        if config:
            file = folder / "config.json"
            file.write_text(json.dumps(config(json.loads(file.read_text()))))
        return folder

    return changed


def without(*parts: str) -> Callable[[Weights], Weights]:
    return lambda weights: {name: w for name, w in weights.items() if not any(p in name for p in parts)}


def cut(part: str) -> Callable[[Weights], Weights]:
    return lambda weights: {name: w[..., :-1].clone() if part in name else w for name, w in weights.items()}


def layers(count: int) -> Callable[[dict], dict]:
    kinds = {"layer_types": ["full_attention"] * count}
    return lambda config: config | {"num_hidden_layers": count} | (kinds if "layer_types" in config else {})


WORDS = "model.embed_tokens.weight"


def test_a_head_that_is_the_embedding_may_be_stored(change):
    policy = load_policy(change(lambda weights: weights | {"lm_head.weight": weights[WORDS].clone()}))
    assert policy.head.weight.equal(load_file(EMBEDDED / "model.safetensors")[WORDS])


def test_whole_weights_load(change):
    name, weight = next(iter(load_policy(change(weights=lambda w: w)).weights()))
    assert weight.equal(load_file(EMBEDDED / "model.safetensors")[name])


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        (without("layers.1.self_attn.q_proj.weight"), r"lack model\.layers\.1\.self_attn\.q_proj\.weight: f"),
        (without("layers.0."), r"lack model\.layers\.0\..* and 9 more tensors"),
        (without("embed_tokens"), r"lack lm_head\.weight, model\.embed_tokens\.weight"),
        (without("model.norm"), r"lack model\.norm\.weight"),
        (cut("layers.0.self_attn.q_proj.weight"), r"q_proj\.weight of shape \[128, 127\], not \[128, 128\]"),
        (lambda weights: weights | {"lm_head.weight": weights[WORDS] + 1}, r"have a head of their own"),
        (lambda weights: weights | {WORDS: weights[WORDS].bool()}, r"embed_tokens\.weight as BOOL"),
        (lambda weights: weights | {WORDS: weights[WORDS].to(torch.complex64)}, r"weight as C64"),
    ],
)  # fmt: skip
def test_weights_that_lack_something_are_refused(change, weights, sentence: str):
    with pytest.raises(UserError, match=sentence):
        load_policy(change(weights))


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (layers(1), r"have layers that config\.json leaves out, such as model\.layers\.1\."),
        (layers(5), r"lack model\.layers\.4\."),
        (lambda config: config | {"tie_word_embeddings": False}, r"lack lm_head\.weight"),
        (lambda config: config | {"vocab_size": 300}, r"of shape \[215, 128\], not \[300, 128\]"),
        (lambda config: config | {"hidden_size": "many"}, r"can't be loaded \(.*expected int, got str"),
        (
            lambda config: {"model_type": "bert", "architectures": ["BertForMaskedLM"]},
            "is a BertForMaskedLM, which is no decoder: give a causal language model",
        ),
        (lambda config: {"model_type": "t5"}, "is a t5, which is no decoder"),
        (lambda config: {"model_type": "bart"}, "is a bart, which is no decoder"),
        (lambda config: {"model_type": "vit"}, "is a vit, which is no decoder"),
        (lambda config: {"model_type": "no_such"}, r"can't be loaded \(.*no_such"),
    ],
)
def test_a_config_of_another_model_is_refused(change, config, sentence: str):
    with pytest.raises(UserError, match=sentence) as error:
        load_policy(change(config=config))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("keep", [0, 0.5])
def test_a_damaged_file_is_a_sentence(change, keep: float):
    folder = change()
    file = folder / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(UserError, match=r"model\.safetensors is damaged \(.*header.*\): fetch"):
        load_policy(folder)


def put(name: str, content: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(content)


def edit(name: str, **entries) -> Callable[[Path], None]:
    return lambda folder: put(name, json.dumps(json.loads((folder / name).read_text()) | entries))(folder)


def index(name: str) -> Callable[[Path], None]:
    """Weights that an index says are in another file, which is there."""

    def change(folder: Path) -> None:
        weights = folder / "model.safetensors"
        tensors = load_file(weights)
        weights.rename((folder / name).resolve())
        put("model.safetensors.index.json", json.dumps({"weight_map": dict.fromkeys(tensors, name)}))(folder)

    return change


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (index("../model.safetensors"), r"index\.json names '\.\./model\.safetensors': accepted are"),
        (put("config.json", "[]"), r"config\.json holds a list, not an object"),
        (edit("config.json", num_hidden_layers=10**9), r"num_hidden_layers=1000000000, and the weights are"),
        (edit("config.json", model_type="llama"), r"k_proj\.bias, .* has no place: correct its model"),
        (
            edit(
                "config.json",
                use_sliding_window=True,
                sliding_window=4,
                layer_types=["sliding_attention"] * 4,
            ),
            r"attends to the last 4 of 128 tokens",
        ),
        (
            edit(
                "config.json",
                rope_parameters={
                    "rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": 16,
                    "short_factor": [1.0] * 16, "long_factor": [2.0] * 16,
                },
            ),
            r"turns positions otherwise in texts of more than 16 tokens",
        ),
        (edit("config.json", rms_norm_eps=-1e9), r"computes NaN or infinity"),
        (edit("generation_config.json", eos_token_id=999), r"ends at token 999, and has 215 tokens"),
        (put("chat_template.jinja", "<bos>"), r"leaves '1' of the prompt out"),
        (lambda folder: (folder / "tokenizer.json").unlink(), r"tokenizer\.json is missing"),
        (put("adapter_config.json", "{}"), r"adapter_config\.json is there beside a whole model"),
        (edit("generation_config.json", eos_token_id=True), r"ends at token True: accepted are whole"),
        (edit("generation_config.json", eos_token_id=["2"]), r"ends at token '2': accepted are whole"),
        (put("config.json", '\ufeff{"model_type": "qwen2"}'), r"config\.json is damaged \(.*BOM"),
    ],
)  # fmt: skip
def test_a_folder_with_something_wrong_is_told_what(change, damage, sentence: str):
    folder = change()
    damage(folder)
    with pytest.raises(UserError, match=sentence) as error:
        load_policy(folder)
    assert "\n" not in str(error.value)


def test_a_model_in_which_neighbours_in_a_row_meet_is_refused(policy: Policy, monkeypatch):
    """Every token attends to all before it, whatever text it is of, as in a model that knows no layout."""
    check_model(policy, "it")
    monkeypatch.setattr("rlvr.policy.trial.DenseAttention", CausalAttention)
    with pytest.raises(UserError, match=r"it, a qwen2, does not keep two texts in one row apart"):
        check_model(policy, "it")


@pytest.mark.parametrize(
    ("config", "is_refused"),
    [
        (GraniteConfig(logits_scaling=8.0, **SMALL), True),
        (GraniteConfig(logits_scaling=1.0, **SMALL), False),
        (CohereConfig(logit_scale=0.0625, **SMALL), True),
    ],
)
def test_a_model_that_works_on_the_logits_of_its_head_is_refused(policy: Policy, config, is_refused: bool):
    """Its log-probabilities would be those of other logits, 8 or 16 times as large."""
    other = Policy(AutoModelForCausalLM.from_config(config).eval(), policy.tokenizer)
    refused = pytest.raises(
        UserError, match=rf"it, a {config.model_type}, scales or caps the logits of its head"
    )
    with refused if is_refused else nullcontext():
        check_model(other, "it")


def test_a_model_whose_attention_has_sinks_is_refused(policy: Policy):
    """Without them each softmax would add up to 1."""
    config = GptOssConfig(
        layer_types=["full_attention"], num_local_experts=2, num_experts_per_tok=1, head_dim=8, **SMALL
    )
    other = Policy(AutoModelForCausalLM.from_config(config).eval(), policy.tokenizer)
    with pytest.raises(UserError, match=r"it does not run \(.*: its attention has s_aux\).* is a gpt_oss"):
        check_model(other, "it")


def test_a_head_with_a_bias_takes_no_temperature(policy: Policy):
    """(W h + b) / T is not W (h / T) + b, which at T = 1 is the model's own."""
    model = AutoModelForCausalLM.from_config(PhiConfig(**SMALL)).eval()
    torch.nn.init.normal_(model.lm_head.bias)
    prompt, completion = [3, 1, 2], [7, 9]
    with torch.no_grad():
        logits = model(torch.tensor([prompt + completion])).logits[0, 2:4]
        expected = logits.log_softmax(-1)[[0, 1], completion]
        tree = PrefixTree.build([prompt], [[completion]])
        other = Policy(model, policy.tokenizer)
        torch.testing.assert_close(other.logprobs(tree)[0], expected)
        with pytest.raises(UserError, match=r"temperature=0\.5 was given.*has a bias: accepted is 1"):
            other.logprobs(tree, temperature=0.5)


class CausalAttention(DenseAttention):
    def __init__(self, tree: PrefixTree):
        self.mask_TT = torch.ones(len(tree), len(tree)).tril().bool()


def test_the_digest_of_a_file_is_that_of_what_it_holds_now(change):
    """Within one process too, though the new content has the size and the time of the old."""
    folder = change(weights=lambda w: w)
    before = digests_of_files(folder)
    assert digests_of_files(folder) == before and set(before) >= {"model.safetensors", "tokenizer.json"}
    file = folder / "model.safetensors"
    times = file.stat()
    save_file({name: w + 1 for name, w in load_file(file).items()}, file, metadata={"format": "pt"})
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert file.stat().st_size == times.st_size
    after = digests_of_files(folder)
    assert {name for name in after if after[name] != before[name]} == {"model.safetensors"}
