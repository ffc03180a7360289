"""A checkpoint of a run as a plain transformers folder, or its adapter as a peft folder."""

from pathlib import Path

from transformers import AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase

from rlvr.config import Config, PromptConfig
from rlvr.data import Problem
from rlvr.errors import UserError, refuse_unknown
from rlvr.files.atomic import make_folder
from rlvr.files.run_directory import refuse_other
from rlvr.files.run_files import RunFiles
from rlvr.policy.location import find
from rlvr.policy.policy import DTYPES, Policy
from rlvr.policy.prompts import render
from rlvr.runs.evaluate import chosen_step
from rlvr.runs.weights import contents_of_base, weights_of
from rlvr.training.checkpoint import checkpoints, damage_of
from rlvr.training.setup import initial_policy

REBUILT = """

Of this architecture transformers' AutoTokenizer, which vLLM and lm-evaluation-harness use too, makes another
tokenizer whatever `tokenizer_config.json` says, with other tokens: take the one above."""


def export_run(
    run: str | Path,
    folder: str | Path,
    step: int | None = None,
    dtype: str | None = None,
    adapter: str = "merge",
) -> Path:
    """Write safetensors, config, tokenizer, and how to sample as the evaluation does; returns the folder.

    Args:
        run: a run directory.
        folder: where to write; not there yet, or empty.
        step: of the checkpoint; by default the one that evaluation chooses.
        dtype: of the weights, "float32", "bfloat16" or "float16"; by default as they were trained.
        adapter: "merge" makes it a part of the weights, "keep" writes it alone, as peft does.

    Raises:
        UserError: where there is no such run or whole checkpoint, or something stands in `folder`.
    """
    run, folder = Path(run), Path(folder)
    if not (run / "config.yaml").exists():
        raise UserError(f"{run} is not a run directory: it has no config.yaml")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already: name a folder that is not, or is empty")
    make_folder(folder)  # what can't be written is said before a model is loaded
    config = RunFiles(run).config
    refuse_unknown("dtype", [] if dtype is None else [dtype], DTYPES)
    refuse_unknown("adapter", [adapter], ["merge", "keep"])
    if step is not None:
        refuse_unknown("step", [str(step)], [str(there) for there, _ in checkpoints(run)])
    weights = weights_of(config, run, chosen_step(config, run) if step is None else int(step))
    if weights and (damage := damage_of(weights)):
        raise UserError(f"{weights} is damaged ({damage}): choose another checkpoint with step=")
    refuse_other(run, "contents", contents_of_base(config))
    policy = initial_policy(config, weights, device="cpu")
    if adapter == "keep" and policy.adapter is None:
        raise UserError(f"{run} has no adapter: adapter=keep is for runs with adapter=lora")
    if adapter == "keep":
        policy.adapter.path = find(config.model)  # for peft, which knows rlvr's own models by their folder
        policy.save(folder)
        policy.tokenizer.save_pretrained(folder)
        generation_config(policy, config).save_pretrained(folder)
    else:
        if dtype == "float32":  # before the sum, which keeps more then
            policy.model.float()
        policy.merge_adapter()
        policy.model.to(DTYPES[dtype or config.model.dtype])
        policy.model.generation_config = generation_config(policy, config)
        policy.save(folder)
    (folder / "README.md").write_text(how_to_ask(policy, config, folder))
    return folder


def generation_config(policy: Policy, config: Config) -> GenerationConfig:
    """What ends a completion, and the evaluation's sampling in the place of the model's own defaults."""
    ids, sampling = policy.model.generation_config, config.evaluation.sampling
    drawn = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k}
    greedy = sampling.temperature == 0
    return GenerationConfig(
        bos_token_id=ids.bos_token_id,
        pad_token_id=ids.pad_token_id,
        eos_token_id=policy.end_ids,
        stop_strings=list(policy.stop_strings) or None,
        do_sample=not greedy,
        **({} if greedy else drawn),
    )


def how_to_ask(policy: Policy, config: Config, folder: Path) -> str:
    """Markdown: the prompt around a problem of each verifier, and how to sample an answer to one."""
    known = {"default": PromptConfig()} | config.model.prompts
    prompts = {
        verifier: render(policy.tokenizer, placeholder(verifier), config.model.prompts, tokenize=False)
        for verifier in known
    }
    reader = "PreTrainedTokenizerFast" if rebuilt(policy.tokenizer, folder) else "AutoTokenizer"
    longest = config.evaluation.sampling.max_tokens
    lines = "\n".join(f"    {verifier!r}: {text!r}," for verifier, text in prompts.items())
    imports = f"from transformers import AutoModelForCausalLM, {reader}"
    model = 'model = AutoModelForCausalLM.from_pretrained(".")'
    elsewhere = (
        f"In rlvr it is\n`model={config.model.name} model.path=<this folder>`, with what the run was given "
        "of `model.` besides."
    )
    if policy.adapter:
        imports = "from peft import AutoPeftModelForCausalLM\n"
        imports += f"from transformers import GenerationConfig, {reader}"
        model = """model = AutoPeftModelForCausalLM.from_pretrained(".")
model.generation_config = GenerationConfig.from_pretrained(".")"""
        elsewhere = "The model\nbelow it is where `base_model_name_or_path` of `adapter_config.json` says."
    if reader != "AutoTokenizer":
        elsewhere += REBUILT
    return f"""## How to ask it

```python
{imports}

problem = "..."  # as the data set has it
prompts = {{  # by verifier
{lines}
}}
{model}
tokenizer = {reader}.from_pretrained(".")
prompt = prompts["default"].replace("{{problem}}", problem)
ids = tokenizer.encode(prompt, add_special_tokens=False, return_tensors="pt")
answer = model.generate(input_ids=ids, max_new_tokens={longest}, tokenizer=tokenizer)[0, ids.shape[1] :]
print(tokenizer.decode(answer, skip_special_tokens=True))
```

`generation_config.json` has the sampling of the run's evaluation and all that ends an answer. {elsewhere}
"""


def rebuilt(tokenizer: PreTrainedTokenizerBase, folder: Path) -> bool:
    """Whether AutoTokenizer splits text otherwise than the tokenizer that was saved to a folder.

    For the architectures of transformers' MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS, Qwen2 among them, it
    takes the vocabulary alone and splits as the architecture's own tokenizer does.
    """
    text = tokenizer.decode(range(len(tokenizer)))
    return AutoTokenizer.from_pretrained(folder).encode(text) != tokenizer.encode(text)


def placeholder(verifier: str) -> Problem:
    """A problem whose own words are {problem}."""
    return Problem("placeholder", "placeholder", ({"role": "user", "content": "{problem}"},), "", verifier)
