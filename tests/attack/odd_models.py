"""Further folders for `models`: files that are whole, and say what no model or another one has."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tests.attack.models import (
    WEIGHTS,
    Change,
    both,
    cast,
    config,
    edited,
    in_place_of,
    template,
    tensors,
    vocabulary,
    written,
)

PLAIN = "<bos> {% for m in messages %}{{ m.content }} {% endfor %}<answer>"
UP = "model.layers.0.mlp.up_proj.weight"
GENERATION, TOKENIZER, TOKENS = "generation_config.json", "tokenizer_config.json", "tokenizer.json"
ENDED = {
    "type": "TemplateProcessing",
    "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<eos>", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}],
    "special_tokens": {"<eos>": {"id": "<eos>", "ids": [2], "tokens": ["<eos>"]}},
}


def adapter_of_another(folder: Path) -> None:
    """What makes transformers, with peft, load the other folder's weights for this one's."""
    other = folder.parent / "other"
    shutil.copytree(folder, other)
    tensors(lambda weights: [weight.mul_(0.5) for weight in weights.values()])(other)
    described = {"base_model_name_or_path": str(other), "peft_type": "LORA", "r": 1, "lora_alpha": 1}
    described |= {"target_modules": ["q_proj"], "task_type": "CAUSAL_LM"}
    (folder / "adapter_config.json").write_text(json.dumps(described))
    layer = "base_model.model.model.layers.{}.self_attn.q_proj.lora_{}.weight"
    shapes = {"A": (1, 128), "B": (128, 1)}
    made = {layer.format(i, part): torch.ones(shape) for i in range(4) for part, shape in shapes.items()}
    save_file(made, folder / "adapter_model.safetensors")


def adapter_alone(folder: Path) -> None:
    adapter_of_another(folder)
    for name in ("config.json", WEIGHTS, GENERATION):
        (folder / name).unlink()


def header(described: dict[str, Any]) -> Change:
    """Weights whose header says just this."""

    def write(folder: Path) -> None:
        text = json.dumps(described).encode()
        (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text + bytes(64))

    return write


def tensor(**changes: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]} | changes


def encoded(encoding: str) -> Change:
    def write(folder: Path) -> None:
        file = folder / "config.json"
        file.write_bytes(file.read_text().encode(encoding))

    return write


def template_in_config(value: Any) -> Change:
    return both(
        lambda folder: (folder / "chat_template.jinja").unlink(), edited(TOKENIZER, chat_template=value)
    )


def sliding(window: int) -> Change:
    kinds = ["sliding_attention"] * 4
    return config(use_sliding_window=True, sliding_window=window, max_window_layers=0, layer_types=kinds)


def rope(**changes: Any) -> Change:
    return config(rope_parameters={"rope_theta": 1e4, "rope_type": "default"} | changes)


def files(names: int) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        for number in range(names):
            (folder / f"x{number}.json").write_text("{}")

    return write


# as in `models.FOLDERS`
FURTHER: dict[str, tuple[Change, bool]] = {
    "a tokenizer that cuts texts off": (edited(TOKENS, truncation={
        "direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}), True),
    "a tokenizer that pads texts": (edited(TOKENS, padding={
        "strategy": {"Fixed": 64}, "direction": "Left", "pad_to_multiple_of": None, "pad_id": 0,
        "pad_type_id": 0, "pad_token": "<pad>"}), True),
    "a tokenizer that ends texts": (edited(TOKENS, post_processor=ENDED), True),
    "an adapter of another model beside it": (adapter_of_another, False),
    "an adapter alone": (adapter_alone, False),
    "half an adapter beside it": (written("adapter_config.json", "{"), False),
    "a head beside tied words": (tensors(lambda weights: weights.update(
        {"lm_head.weight": torch.randn_like(weights["model.embed_tokens.weight"])})), False),
    "the words again as a head": (tensors(lambda weights: weights.update(
        {"lm_head.weight": weights["model.embed_tokens.weight"].clone()})), True),
    "no head and no tie": (config(tie_word_embeddings=False), False),
    "an end that is a text": (edited(GENERATION, eos_token_id="x"), False),
    "an end and a half": (edited(GENERATION, eos_token_id=[1.5]), False),
    "an end below nothing": (edited(GENERATION, eos_token_id=-1), False),
    "an end that is true": (edited(GENERATION, eos_token_id=True), False),
    "ends of none": (edited(GENERATION, eos_token_id=[]), True),
    "an end that is an object": (config(eos_token_id={"a": 1}), False),
    "no positions": (config(max_position_embeddings=0), False),
    "fewer positions than none": (config(max_position_embeddings=-5), False),
    "positions as text": (config(max_position_embeddings="many"), False),
    "positions null": (config(max_position_embeddings=None), False),
    "padding beyond the words": (config(pad_token_id=99999), False),
    "padding below nothing": (config(pad_token_id=-1), True),
    "padding of text": (config(pad_token_id="x"), False),
    "attention of no name": (config(_attn_implementation="nothing"), False),
    "tuples for outputs": (config(return_dict=False), False),
    "hidden states among the outputs": (config(output_hidden_states=True, output_attentions=True), True),
    "torchscript": (config(torchscript=True), True),
    "pruned heads": (config(pruned_heads={"0": [0]}), True),
    "wider heads": (config(head_dim=64), False),
    "heads of no width": (config(head_dim=None), False),
    "a rotation of NaN": (rope(rope_theta=float("nan")), False),
    "a rotation below nothing": (rope(rope_theta=-1e4), False),
    "a rotation that is a list": (config(rope_parameters=[1]), False),
    "a rotation scaled by text": (config(rope_scaling={"type": "linear", "factor": "x"}), False),
    "kinds for one layer": (config(layer_types=["full_attention"]), False),
    "layers of no kind": (config(layer_types=["nothing"] * 4), False),
    "an activation that is a number": (config(hidden_act=7), False),
    "a type that is a number": (config(model_type=7), False),
    "architectures that are a number": (config(architectures=7), True),
    "a tokenizer of no class": (edited(TOKENIZER, tokenizer_class="Nothing"), True),
    "a class that is a number": (edited(TOKENIZER, tokenizer_class=7), True),
    "a last word that is a number": (edited(TOKENIZER, eos_token=7), False),
    "a last word that is an object": (edited(TOKENIZER, eos_token={"content": 7}), False),
    "a last word of its own": (edited(TOKENIZER, eos_token="<nope>"), False),
    "two tokens at most": (edited(TOKENIZER, model_max_length=2), True),
    "special words that are a number": (edited(TOKENIZER, extra_special_tokens=7), False),
    "added words under a letter": (edited(TOKENIZER, added_tokens_decoder={"x": {"content": "a"}}), False),
    "added words that are numbers": (edited(TOKENIZER, added_tokens_decoder={"0": 7}), False),
    "a list of templates": (template_in_config([{"name": "default", "template": PLAIN}]), True),
    "a template that is a number": (template_in_config(7), False),
    "a template in latin-1": (written("chat_template.jinja", b"\xe9{{ messages }}"), False),
    "a template with the time": (template(PLAIN + "{% if strftime_now('%f') == 'x' %}x{% endif %}"), True),
    "a template of fifty million letters": (template("{# " + "x" * 50_000_000 + " #}" + PLAIN), True),
    "tensors that overlap": (header({UP: tensor(), "b": tensor()}), False),
    "a tensor of less than nothing": (header({UP: tensor(shape=[-4, 4])}), False),
    "a tensor of no type": (header({UP: tensor(dtype="F7")}), False),
    "a tensor beyond all memory": (header({UP: tensor(shape=[2**40, 2**30])}), False),
    "a header's notes that are a number": (header({"__metadata__": 7}), False),
    "an empty tensor": (tensors(lambda weights: weights.update({UP: torch.zeros(0, 128)})), False),
    "a tensor on its side": (
        tensors(lambda weights: weights.update({UP: weights[UP].T.contiguous()})), False),
    "weights in half precision": (cast(torch.float16), True),
    "complex weights": (cast(torch.complex64), False),
    "weights that are true or false": (cast(torch.bool), False),
    "weights in a quarter of the bits": (cast(torch.float8_e4m3fn), False),
    "a config with a byte order mark": (encoded("utf-8-sig"), False),
    "a config in UTF-16": (encoded("utf-16"), False),
    "a config with NaN that nobody reads": (config(initializer_range=float("nan")), True),
    "a cache of text": (config(use_cache="no"), False),
    "a window of less than nothing": (sliding(-4), False),
    "dropout of nearly all": (config(attention_dropout=0.9), True),
    "tokens forced and left out": (edited(
        GENERATION, forced_bos_token_id=5, suppress_tokens=[3], repetition_penalty=9.0, top_p=7), True),
    "a generation config that is a list": (written(GENERATION, "[1]"), False),
    "a number of words in text": (config(vocab_size="215"), False),
    "a broken number of heads": (config(num_attention_heads=4.0), False),
    "words that share a token": (
        vocabulary(lambda words: words.update(dict.fromkeys(list(words)[20:40], 7))), False),
    "a token that is a text": (vocabulary(lambda words: words.update({list(words)[20]: "x"})), False),
    "a token below nothing": (vocabulary(lambda words: words.update({list(words)[20]: -1})), False),
    "a folder that is read-only": (
        lambda folder: [file.chmod(0o444) for file in folder.iterdir()], True),
    "three thousand files": (files(3000), True),
    "a template that is a folder": (in_place_of("chat_template.jinja", Path.mkdir), False),
}  # fmt: skip
