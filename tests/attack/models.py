"""Model folders that are damaged, incomplete or hostile, each evaluated as a user would."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file, save_file

from rlvr.cli.main import main
from rlvr.policy.policy import EMBEDDED
from tests.attack.damage import emptied, halved, removed, zeroed
from tests.attack.outcomes import Outcome, Tally, attempt, spread, tally

EVALUATE = [
    *("evaluate", "model=local", "tracking=local", "benchmark=countdown_3", "n=2", "scale=smoke"),
    "benchmark.tasks.countdown_3.size=2",
]
CODE = "import pathlib\npathlib.Path(__file__).with_name('executed').touch()\n"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
Change = Callable[[Path], None]
Tensors = dict[str, torch.Tensor]


def edited(name: str, **changes: Any) -> Change:
    """A JSON file with some entries set."""

    def edit(folder: Path) -> None:
        file = folder / name
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return edit


def config(**changes: Any) -> Change:
    return edited("config.json", **changes)


def written(name: str, content: str | bytes) -> Change:
    """A file with this very content."""
    return lambda folder: (folder / name).write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )


def both(*changes: Change) -> Change:
    def change(folder: Path) -> None:
        for one in changes:
            one(folder)

    return change


def tensors(change: Callable[[Tensors], object]) -> Change:
    def edit(folder: Path) -> None:
        file = folder / WEIGHTS
        weights = load_file(file)
        change(weights)
        save_file(weights, file, {"format": "pt"})

    return edit


def without(part: str) -> Change:
    """The weights without the tensors whose name has `part`."""

    def drop(weights: Tensors) -> None:
        for name in [name for name in weights if part in name]:
            del weights[name]

    return tensors(drop)


def one_number(value: float, part: str) -> Change:
    """A single number of a tensor set, which for most inputs is not even used."""

    def set_it(weights: Tensors) -> None:
        next(weight for name, weight in weights.items() if part in name).view(-1)[-1] = value

    return tensors(set_it)


def added(name: str, *shape: int) -> Change:
    return tensors(lambda weights: weights.update({name: torch.ones(*shape)}))


def renamed(old: str, new: str) -> Change:
    def rename(weights: Tensors) -> None:
        for name in list(weights):
            weights[name.replace(old, new)] = weights.pop(name)

    return tensors(rename)


def cast(dtype: torch.dtype) -> Change:
    return tensors(lambda weights: weights.update({name: w.to(dtype) for name, w in weights.items()}))


def template(text: str) -> Change:
    def edit(folder: Path) -> None:
        (folder / "chat_template.jinja").write_text(text)
        edited("tokenizer_config.json", chat_template=text)(folder)

    return edit


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()


def with_code(folder: Path) -> None:
    (folder / "modeling_own.py").write_text(CODE)
    config(auto_map={"AutoModelForCausalLM": "modeling_own.Own"}, model_type="own")(folder)


def tokenizer_code(folder: Path) -> None:
    (folder / "own.py").write_text(CODE)
    edited("tokenizer_config.json", auto_map={"AutoTokenizer": ["own.Own", None]}, tokenizer_class="Own")(
        folder
    )


def shards(folder: Path) -> None:
    """The weights in two files and an index, as large models have them."""
    weights = load_file(folder / WEIGHTS)
    place = {name: f"model-0000{1 + number % 2}-of-00002.safetensors" for number, name in enumerate(weights)}
    for file in set(place.values()):
        save_file({name: weights[name] for name in weights if place[name] == file}, folder / file)
    (folder / WEIGHTS).unlink()
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": place}))


def index(change: Callable[[dict[str, str]], object]) -> Change:
    """Weights in shards, with the map of the index changed."""

    def edit(folder: Path) -> None:
        shards(folder)
        content = json.loads((folder / INDEX).read_text())
        change(content["weight_map"])
        (folder / INDEX).write_text(json.dumps(content))

    return edit


def outside(absolute: bool) -> Change:
    """An index that names a file beyond the folder, which is there."""

    def edit(folder: Path) -> None:
        elsewhere = folder.parent / "elsewhere.safetensors"
        shutil.move(folder / WEIGHTS, elsewhere)
        named = str(elsewhere) if absolute else f"../{elsewhere.name}"
        content = {"metadata": {}, "weight_map": dict.fromkeys(load_file(elsewhere), named)}
        (folder / INDEX).write_text(json.dumps(content))

    return edit


def in_place_of(name: str, make: Callable[[Path], object]) -> Change:
    def edit(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return edit


def linked(folder: Path) -> None:
    """As the hub's cache has it: every file is a link to one elsewhere."""
    blobs = folder.parent / "blobs"
    shutil.move(folder, blobs)
    folder.mkdir()
    for file in blobs.iterdir():
        (folder / file.name).symlink_to(file)


def vocabulary(change: Callable[[dict[str, int]], object]) -> Change:
    def edit(folder: Path) -> None:
        file = folder / "tokenizer.json"
        content = json.loads(file.read_text())
        change(content["model"]["vocab"])
        file.write_text(json.dumps(content))

    return edit


def ends_nowhere(folder: Path) -> None:
    (folder / "generation_config.json").unlink()
    config(eos_token_id=None)(folder)
    edited("tokenizer_config.json", eos_token=None)(folder)


LOOPS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
DEEP = "[" * 100_000 + "]" * 100_000
QWEN3_5 = ["linear_attention", "full_attention"] * 2
# name -> (what is done to the folder, whether the right outcome is the model's own answers)
FOLDERS: dict[str, tuple[Change, bool]] = {
    "as it is": (lambda folder: None, True),
    "as links": (linked, True),
    "as shards": (shards, True),
    "as float64": (cast(torch.float64), True),
    "a tensor nobody asks for": (added("vision.tower.weight", 3, 3), True),
    "without a q_proj": (without("layers.0.self_attn.q_proj"), False),
    "without a layer": (without("layers.1."), False),
    "without the embedding": (without("embed_tokens"), False),
    "without a norm": (without("model.norm"), False),
    "without any tensor": (without(""), False),
    "a NaN in the weights": (one_number(float("nan"), "down_proj"), False),
    "a NaN in the embedding": (one_number(float("nan"), "embed_tokens"), False),
    "an infinity in a norm": (one_number(float("inf"), "model.norm"), False),
    "numbers so large that they overflow": (
        tensors(lambda weights: [weight.fill_(3e38) for weight in weights.values()]), False),
    "a bias nobody asks for": (added("model.layers.1.mlp.up_proj.bias", 384), False),
    "scales of eight bits": (added("model.layers.1.mlp.up_proj.weight_scale_inv", 3, 1), False),
    "weights of eight bits": (cast(torch.int8), False),
    "names with another prefix": (renamed("model.", "transformer."), False),
    "a layer with another number": (renamed("layers.3.", "layers.7."), False),
    "BERT's config": (config(model_type="bert", architectures=["BertModel"]), False),
    "T5's config": (config(model_type="t5"), False),
    "an unknown architecture": (config(model_type="nothing"), False),
    "no architecture": (config(model_type=None), False),
    "Llama's config, which has no biases": (config(model_type="llama"), False),
    "Mamba's config": (config(model_type="mamba"), False),
    "BLOOM's config": (config(model_type="bloom"), False),
    "another width": (config(hidden_size=64), False),
    "more layers": (config(num_hidden_layers=6), False),
    "no layers": (config(num_hidden_layers=0, layer_types=[]), False),
    "a negative number of layers": (config(num_hidden_layers=-1), False),
    "a billion layers": (config(num_hidden_layers=10**9, layer_types=None), False),
    "a thousand layers": (config(num_hidden_layers=1000, layer_types=None), False),
    "a billion wide": (config(intermediate_size=10**9), False),
    "a billion words": (config(vocab_size=10**9), False),
    "more words": (config(vocab_size=999), False),
    "fewer words": (config(vocab_size=20), False),
    "no heads": (config(num_attention_heads=0), False),
    "half a head": (config(num_attention_heads=3), False),
    "more key heads than heads": (config(num_key_value_heads=8), False),
    "width as text": (config(hidden_size="128"), False),
    "no activation of that name": (config(hidden_act="nothing"), False),
    "a negative epsilon": (config(rms_norm_eps=-1e9), False),
    "epsilon is NaN": (config(rms_norm_eps=float("nan")), False),
    "no rotation": (config(rope_parameters={"rope_theta": 0.0, "rope_type": "default"}), False),
    "a rotation of no kind": (config(rope_parameters={"rope_theta": 1e4, "rope_type": "nothing"}), False),
    "a sliding window": (
        config(use_sliding_window=True, sliding_window=4, max_window_layers=0,
               layer_types=["sliding_attention"] * 4), False),
    "layers without attention": (config(layer_types=QWEN3_5), False),
    "a soft cap": (config(model_type="gemma2", attn_logit_softcapping=50.0), False),
    "quantised, it says": (config(quantization_config={"quant_method": "nothing"}), True),
    "quantised by GPTQ, it says": (config(quantization_config={"quant_method": "gptq", "bits": 4}), False),
    "a type of no name": (config(dtype="float7"), False),
    "a list in the place of the config": (written("config.json", "[]"), False),
    "a config without end of brackets": (written("config.json", DEEP), False),
    "a config in latin-1": (written("config.json", b'{"model_type": "\xe9"}'), False),
    "an end beyond the words": (
        both(config(eos_token_id=9999), edited("generation_config.json", eos_token_id=9999)), False),
    "no end": (ends_nowhere, False),
    "pickled weights": (pickled, False),
    "code of its own": (with_code, False),
    "a tokenizer's code": (tokenizer_code, True),
    "weights outside": (outside(absolute=False), False),
    "weights elsewhere": (outside(absolute=True), False),
    "an index of nothing": (index(dict.clear), False),
    "an index of numbers": (index(lambda files: files.update(dict.fromkeys(files, 7))), False),
    "an index that names a file that is not there": (
        index(lambda files: files.update(dict.fromkeys(files, "model-00009.safetensors"))), False),
    "an index that names a tensor that is not there": (
        index(lambda files: files.update({"model.more": "model-00001-of-00002.safetensors"})), False),
    "a shard lost": (
        both(shards, lambda folder: (folder / "model-00002-of-00002.safetensors").unlink()), False),
    "half a shard": (
        both(shards, lambda folder: halved(folder / "model-00002-of-00002.safetensors", None)), False),
    "half an index": (both(shards, lambda folder: halved(folder / INDEX, None)), False),
    "weights that are a pipe": (in_place_of(WEIGHTS, os.mkfifo), False),
    "a config that is a pipe": (in_place_of("config.json", os.mkfifo), False),
    "weights that are a folder": (in_place_of(WEIGHTS, Path.mkdir), False),
    "weights that link to nothing": (in_place_of(WEIGHTS, lambda file: file.symlink_to("nothing")), False),
    "a header without end": (written(WEIGHTS, b"\xff" * 8 + b"{}" * 99), False),
    "a header that is no JSON": (written(WEIGHTS, b"\x08" + bytes(7) + b"nonsense"), False),
    "words beyond the embedding": (
        vocabulary(lambda words: words.update({word: i + 999 for word, i in words.items() if i > 5})), False),
    "a tokenizer without words": (vocabulary(dict.clear), False),
    "a tokenizer of no kind": (edited("tokenizer.json", model={"type": "Nothing"}), False),
    "a tokenizer that is a list": (written("tokenizer.json", "[]"), False),
    "a tokenizer that splits on no expression": (
        edited("tokenizer.json", pre_tokenizer={
            "type": "Split", "pattern": {"Regex": "("}, "behavior": "Removed", "invert": False}), False),
    "nested loops in the template": (template(LOOPS), False),
    "a template of a billion letters": (template("{{ 'a' * 1000000000 }}"), False),
    "a template that raises": (template("{{ raise_exception('no') }}"), False),
    "a template with an error": (template("{% for %}"), False),
    "a template that looks outside": (template("{{ ''.__class__.__mro__ }}"), False),
    "a template that reads a file": (template("{% include '/etc/passwd' %}"), False),
    "a template that leaves the problem out": (template("<bos> <answer>"), False),
    "an empty template": (template(""), False),
    "no template": (
        both(written("chat_template.jinja", ""), lambda folder: (folder / "chat_template.jinja").unlink()),
        False),
}  # fmt: skip
# without its config or its generation config's words the embedded tokenizer still says and ends the same
SPARE = {("tokenizer_config.json", removed), ("generation_config.json", removed)}
FILES = (
    *("config.json", WEIGHTS, "tokenizer.json", "tokenizer_config.json", "generation_config.json"),
    "chat_template.jinja",
)
for _name in FILES:
    for _damage in (removed, emptied, halved, zeroed):
        FOLDERS[f"{_name} {_damage.__name__}"] = (
            lambda folder, name=_name, damage=_damage: damage(folder / name, None),  # type: ignore[arg-type]
            (_name, _damage) in SPARE,
        )


def evaluated(folder: Path, runs: Path) -> list[dict[str, Any]]:
    """Evaluate a folder's model; the samples, without what names the folder."""
    main([*EVALUATE, f"model.path={folder}", f"runs={runs}"])
    (file,) = runs.rglob("countdown_3.parquet")
    return pq.read_table(file).to_pylist()


def tried(about: int | None) -> Iterator[tuple[str, Outcome, str]]:
    from tests.attack.odd_models import FURTHER  # which is made with what is here

    with tempfile.TemporaryDirectory() as place:
        assert attempt(lambda: keep(evaluated(EMBEDDED, Path(place) / "runs"), place), 120).status == 0
        right = json.loads((Path(place) / "samples.json").read_text())
    for name, (change, is_sound) in spread([*FOLDERS.items(), *FURTHER.items()], about):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "model"
            shutil.copytree(EMBEDDED, folder)
            change(folder)
            runs = Path(place) / "runs"
            result = attempt(
                lambda folder=folder, runs=runs, place=place: keep(evaluated(folder, runs), place), 60
            )
            outcome = result.failure
            if outcome is None:
                same = json.loads((Path(place) / "samples.json").read_text()) == right
                outcome = Outcome.SAME if is_sound and same else Outcome.SILENT
            elif outcome is Outcome.SENTENCE and is_sound:
                outcome = Outcome.SILENT  # refused, though nothing is wrong with it
            if (folder / "executed").exists():
                outcome = Outcome.SILENT  # code that came with weights was run
            yield name, outcome, result.output


def keep(samples: list[dict[str, Any]], place: str) -> None:
    (Path(place) / "samples.json").write_text(json.dumps(samples))


def model_folders(about: int | None = None) -> Tally:
    return tally("model folders", tried(about))
