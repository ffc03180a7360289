"""Model folders that are damaged, incomplete or hostile, each evaluated as a user would."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from rlvr.cli.main import main
from rlvr.policy.policy import EMBEDDED
from tests.attack.damage import emptied, halved, removed, zeroed
from tests.attack.outcomes import Outcome, Tally, attempt, tally

EVALUATE = [
    *("evaluate", "model=local", "tracking=local", "benchmark=countdown_3", "n=2", "scale=smoke"),
    "benchmark.tasks.countdown_3.size=2",
]
CODE = "import pathlib\npathlib.Path(__file__).with_name('executed').touch()\n"


def edited(name: str, **changes: object) -> Callable[[Path], None]:
    """A JSON file with some entries set."""

    def edit(folder: Path) -> None:
        file = folder / name
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return edit


def tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        file = folder / "model.safetensors"
        weights = load_file(file)
        change(weights)
        save_file(weights, file, {"format": "pt"})

    return edit


def without(part: str) -> Callable[[Path], None]:
    """The weights without the tensors whose name has `part`."""

    def drop(weights: dict[str, torch.Tensor]) -> None:
        for name in [name for name in weights if part in name]:
            del weights[name]

    return tensors(drop)


def one_nan(weights: dict[str, torch.Tensor]) -> None:
    next(weight for name, weight in weights.items() if "down_proj" in name).view(-1)[0] = float("nan")


def template(text: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        (folder / "chat_template.jinja").write_text(text)
        edited("tokenizer_config.json", chat_template=text)(folder)

    return edit


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def with_code(folder: Path) -> None:
    (folder / "modeling_own.py").write_text(CODE)
    edited("config.json", auto_map={"AutoModelForCausalLM": "modeling_own.Own"}, model_type="own")(folder)


def outside(folder: Path) -> None:
    """An index that names a file beyond the folder."""
    shutil.move(folder / "model.safetensors", folder.parent / "elsewhere.safetensors")
    names = load_file(folder.parent / "elsewhere.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, "../elsewhere.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


LOOPS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
# name -> (what is done to the folder, whether the right outcome is the model's own answers)
FOLDERS: dict[str, tuple[Callable[[Path], None], bool]] = {
    "as it is": (lambda folder: None, True),
    "without a q_proj": (without("layers.0.self_attn.q_proj"), False),
    "without a layer": (without("layers.1."), False),
    "without the embedding": (without("embed_tokens"), False),
    "without a norm": (without("model.norm"), False),
    "a NaN in the weights": (tensors(one_nan), False),
    "BERT's config": (edited("config.json", model_type="bert", architectures=["BertModel"]), False),
    "T5's config": (edited("config.json", model_type="t5"), False),
    "an unknown architecture": (edited("config.json", model_type="nothing"), False),
    "another width": (edited("config.json", hidden_size=64), False),
    "more layers": (edited("config.json", num_hidden_layers=6), False),
    "more words": (edited("config.json", vocab_size=999), False),
    "fewer words": (edited("config.json", vocab_size=20), False),
    "no heads": (edited("config.json", num_attention_heads=0), False),
    "pickled weights": (pickled, False),
    "code of its own": (with_code, False),
    "weights outside": (outside, False),
    "nested loops in the template": (template(LOOPS), False),
    "a template of a billion letters": (template("{{ 'a' * 1000000000 }}"), False),
    "a template that raises": (template("{{ raise_exception('no') }}"), False),
    "a template with an error": (template("{% for %}"), False),
    "a template that looks outside": (template("{{ ''.__class__.__mro__ }}"), False),
    "an empty template": (template(""), False),
}
for _name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
    for _damage in (removed, emptied, halved, zeroed):
        FOLDERS[f"{_name} {_damage.__name__}"] = (
            lambda folder, name=_name, damage=_damage: damage(folder / name, None),  # type: ignore[arg-type]
            False,
        )


def tried() -> Iterator[tuple[str, Outcome, str]]:
    for name, (change, is_sound) in FOLDERS.items():
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "model"
            shutil.copytree(EMBEDDED, folder)
            change(folder)
            arguments = [*EVALUATE, f"model.path={folder}", f"runs={place}/runs"]
            result = attempt(lambda arguments=arguments: main(arguments), 60)
            outcome = result.failure
            if outcome is None:
                outcome = Outcome.SAME if is_sound else Outcome.SILENT
            if (folder / "executed").exists():
                outcome = Outcome.SILENT  # code that came with weights was run
            yield name, outcome, result.output


def model_folders() -> Tally:
    return tally("model folders", tried())
