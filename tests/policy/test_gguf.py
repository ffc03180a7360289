"""GGUF files become transformers folders: the same logits, tied where they were, named by their digest."""

import hashlib
from pathlib import Path

import pytest
import torch
from gguf import GGUFWriter, get_tensor_name_map
from gguf.constants import MODEL_ARCH
from transformers import Qwen2Config, Qwen2ForCausalLM
from transformers.convert_slow_tokenizer import bytes_to_unicode

from rlvr.config import ModelConfig
from rlvr.errors import UserError
from rlvr.policy import location
from rlvr.policy.policy import load_policy

BYTES = list(bytes_to_unicode().values())


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(location.constants, "HF_HOME", str(tmp_path / "home"))


def model_and_gguf(folder: Path, *, head: float) -> tuple[Qwen2ForCausalLM, Path]:
    """A random Qwen2 whose output embedding is its input's and `head` times noise, and a GGUF of it."""
    torch.manual_seed(0)
    vocabulary = [*BYTES, "Ġa", "<|im_end|>"]
    config = Qwen2Config(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        tie_word_embeddings=False,
    )
    model = Qwen2ForCausalLM(config).eval()
    embedding, output = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    output.data = embedding.data + head * embedding.std() * torch.randn_like(embedding)
    writer = GGUFWriter(folder / "tiny.gguf", "qwen2")
    writer.add_context_length(64)
    writer.add_block_count(2)
    writer.add_feed_forward_length(48)
    writer.add_embedding_length(32)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(vocabulary)
    writer.add_token_types([1] * (len(vocabulary) - 1) + [3])
    writer.add_token_merges(["Ġ a"])
    writer.add_eos_token_id(len(vocabulary) - 1)
    writer.add_bos_token_id(len(vocabulary) - 1)
    names = get_tensor_name_map(MODEL_ARCH.QWEN2, 2)
    for name, weight in model.state_dict().items():
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")), weight.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model, folder / "tiny.gguf"


def logits(model: torch.nn.Module, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0]


@pytest.mark.parametrize(("head", "tied"), [(0.05, True), (1.0, False)])
def test_a_file_is_loaded_with_its_logits_and_embeddings_of_one_weight_are_tied(tmp_path, head, tied):
    model, gguf = model_and_gguf(tmp_path, head=head)
    policy = load_policy(gguf)
    ids = policy.tokenizer("b a c")["input_ids"]
    assert policy.tokenizer.convert_ids_to_tokens(ids) == ["b", "Ġa", "Ġ", "c"]
    loaded = Qwen2ForCausalLM.from_pretrained(location.local_files(ModelConfig(path=str(gguf))))
    assert (loaded.get_input_embeddings().weight is loaded.get_output_embeddings().weight) == tied
    if tied:  # to the output's numbers, which have more bits in a quantised file
        model.get_input_embeddings().weight.data = model.get_output_embeddings().weight.data
    assert torch.allclose(logits(loaded, ids), logits(model, ids), atol=1e-6)


def test_a_digest_is_held_against_the_file_and_names_the_folder(tmp_path):
    _, gguf = model_and_gguf(tmp_path, head=0.05)
    digest = hashlib.sha256(gguf.read_bytes()).hexdigest()
    folder = location.local_files(ModelConfig(path=str(gguf), sha256=digest))
    assert folder.name == f"tiny-{digest[:16]}"
    with pytest.raises(UserError, match=f"tiny.gguf has the SHA-256 digest {digest}, not 0000"):
        location.local_files(ModelConfig(path=str(gguf), sha256="0" * 64))


def test_a_conversion_that_another_process_has_done_leaves_nothing_beside_it(tmp_path):
    _, gguf = model_and_gguf(tmp_path, head=0.05)
    theirs = tmp_path / "converted" / "tiny"
    theirs.mkdir(parents=True)
    location.convert_gguf(gguf, theirs)
    assert list(theirs.parent.iterdir()) == [theirs] and not list(theirs.iterdir())


def test_parts_in_several_packages_are_one_file(tmp_path, monkeypatch):
    """Two distributions as pip leaves them, each with a part of the file and a small file beside it."""
    _, gguf = model_and_gguf(tmp_path, head=0.05)
    content = gguf.read_bytes()
    site, half = tmp_path / "site", len(content) // 2
    for name, part in [("one", content[:half]), ("two", content[half:])]:
        (site / name).mkdir(parents=True)
        (site / name / "weights.bin").write_bytes(part)
        (site / name / "__init__.py").write_text("raise RuntimeError('nothing of a package is run')")
        info = site / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "RECORD").write_text(f"{name}/weights.bin,,\n{name}/__init__.py,,\n")
    monkeypatch.syspath_prepend(str(site))
    whole = location.local_files(ModelConfig(path=str(gguf)))
    joined = location.local_files(ModelConfig(path="nobody/has-it", package="one two"))
    assert joined.name == f"weights-{hashlib.sha256(content).hexdigest()[:16]}"
    for file in ("model.safetensors", "tokenizer.json"):
        assert (joined / file).read_bytes() == (whole / file).read_bytes()
    assert location.local_files(ModelConfig(path="nobody/has-it", package="one three")) is None
