"""From a composed config to a run on verl: its files, its command, and what comes back."""

import importlib.util
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import GenerationConfig

from rlvr.backends.verl.data import template_switches, write_problems
from rlvr.backends.verl.overrides import PLUGIN, Job, arguments, differences, refuse, verl_overrides
from rlvr.backends.verl.results import take_over
from rlvr.config import Config, arm_name
from rlvr.curriculum.lim import load_selection
from rlvr.errors import UserError
from rlvr.evaluation.validation import benchmark_problems, record_data, validation_problems
from rlvr.files.atomic import write_whole
from rlvr.files.run_directory import RunDirectory
from rlvr.policy.location import find
from rlvr.policy.policy import end_token_ids, load_tokenizer
from rlvr.problems import load_problems
from rlvr.rollout.lengths import longest_prompt
from rlvr.tracking.tracker import chosen
from rlvr.tracking.weights_and_biases import wandb_mode, wandb_run_id

VERL = "verl[vllm,fsdp]==0.9.1"
LOOK_SECONDS = 0.2  # between looks whether the run is to stop
END_SECONDS = 60.0  # that verl and its Ray are given to end
ATTENTION = "actor_rollout_ref.model.override_config.attn_implementation"  # verl's key


@dataclass(frozen=True, slots=True)
class Launch:
    """A run on verl that only has to be started.

    Attributes:
        command: verl's own, with an override for everything rlvr decides.
        environment: variables it needs beside those of this process.
        files: what has been written for it.
        differences: where it is not what the native backend would do.
    """

    command: list[str]
    environment: dict[str, str]
    files: list[Path]
    differences: list[str]

    def shell(self) -> str:
        """As a person would type it, an argument a line."""
        variables = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        return " \\\n  ".join([*variables, shlex.join(self.command[:3]), *map(shlex.quote, self.command[3:])])


def prepare(config: Config, directory: RunDirectory) -> Launch:
    """Write what verl reads into `<run>/verl`, and put its command together.

    Raises:
        UserError: for what verl can't be told, or where data or tokenizer can't be had.
    """
    refuse(config)
    run = directory.path.resolve()
    folder = run / "verl"
    problems = load_problems(config.data, held_out=False)
    in_domain = benchmark_problems(config, "in_domain")
    resumed = any((folder / "checkpoints").glob("global_step_*"))
    selection = load_selection(config, problems)
    record_data(config, directory, problems, in_domain, selection, resumed=resumed)
    if selection:
        selected = set(selection.selected)
        problems = [problem for problem in problems if problem.id in selected]
    validation = validation_problems(config, in_domain)
    if not validation:
        raise UserError(
            f"backend=verl validates, and of {', '.join(sorted(config.benchmark.tasks))} none is in domain: "
            "give a benchmark that is, as benchmark=countdown_4"
        )
    asked = [*problems, *(problem for of_name in validation.values() for problem in of_name)]
    longest, _ = longest_prompt(asked, load_tokenizer(config.model), config.model.prompts)
    job = Job(
        config=run / "config.yaml",
        train=write_problems({config.data.name: problems}, config.model.prompts, folder / "train.parquet"),
        validation=write_problems(validation, config.model.prompts, folder / "validation.parquet"),
        folder=folder,
        model=str(find(config.model)),
        end_ids=end_ids(config),
        prompt_tokens=longest,
        template=template_switches(asked, config.model.prompts),
        problems=len(problems),
    )
    overrides = [*arguments(verl_overrides(config, job)), *config.backend.overrides]
    launch = Launch(
        command=[sys.executable, "-m", "verl.trainer.main_ppo", *overrides],
        environment=environment(config, run),
        files=[job.config, job.train, job.validation],
        differences=differences(config),
    )
    write_whole(folder / "command.sh", launch.shell() + "\n")
    return launch


def end_ids(config: Config) -> list[int]:
    """Ids of the tokens that end a completion: of generation config, tokenizer and model.end_tokens.

    Raises:
        UserError: where the generation config has texts that end one too.
    """
    folder = find(config.model)
    try:
        own = GenerationConfig.from_pretrained(folder)
    except OSError:  # a model need not have one
        own = GenerationConfig()
    if own.stop_strings:
        raise UserError(
            f"backend=verl does not accept the stop_strings in {folder}/generation_config.json: its rollouts "
            "end at tokens only; the nearest valid choice is a folder without them, and model.end_tokens"
        )
    return end_token_ids(load_tokenizer(config.model), own.eos_token_id, config.model.end_tokens)


def environment(config: Config, run: Path) -> dict[str, str]:
    """Variables of verl's driver; a resumed run has the same W&B id, but a metrics file of its own."""
    started = len(list((run / "verl").glob("metrics-*.jsonl")))
    variables = {
        "VERL_USE_EXTERNAL_MODULES": PLUGIN,
        "VERL_FILE_LOGGER_PATH": str(run / "verl" / f"metrics-{started:03d}.jsonl"),
    }
    if "wandb" in chosen(config):
        variables |= {
            "WANDB_MODE": wandb_mode(config.tracking.mode),
            "WANDB_RUN_GROUP": config.tracking.group or config.experiment,
            "WANDB_JOB_TYPE": arm_name(config),
            "WANDB_RUN_ID": wandb_run_id(run),
            "WANDB_RESUME": "allow",
            "WANDB_DIR": str(run),
        }
        if config.tracking.entity:
            variables["WANDB_ENTITY"] = config.tracking.entity
    return variables


def train_with_verl(
    config: Config, directory: RunDirectory, check_time: Callable[[], None] = lambda: None
) -> None:
    """Run verl to the end, then take over its checkpoints; started again, it goes on from its last one.

    Args:
        check_time: raises where the run is to stop; asked while verl works.
    """
    launch = prepare(config, directory)
    if importlib.util.find_spec("verl") is None:
        raise UserError(
            f"backend=verl needs verl, which is not installed here: `pip install '{VERL}'` in an environment "
            "of its own (docs/verl.md), or give --dry-run to see what would be run"
        )
    check_attention(launch.command)
    directory.begin_training(config)
    directory.report("training", 0, config.training.steps)
    if status := run_verl(launch, check_time):
        raise UserError(
            f"verl ended with status {status}: its messages are above; the same command goes on "
            "from its last checkpoint"
        )
    take_over(config, directory)


def run_verl(launch: Launch, check_time: Callable[[], None]) -> int:
    """Wait for verl; its exit status. Where `check_time` raises, verl is ended: it can't be asked for a
    checkpoint, and goes on from its last one."""
    job = subprocess.Popen(launch.command, env={**os.environ, **launch.environment})
    try:
        while job.returncode is None:
            with suppress(subprocess.TimeoutExpired):
                job.wait(LOOK_SECONDS)
            if job.returncode != 0:  # also where a signal to all has ended verl first
                check_time()
        return job.returncode
    finally:
        job.terminate()
        try:
            job.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            job.kill()
            job.wait()


def check_attention(command: Sequence[str]) -> None:
    """Refuse to start an actor without its attention, which verl would find out after minutes.

    Raises:
        UserError: on a GPU without flash-attn, which verl's actor has where no override names another.
    """
    named = [word.partition("=")[2] for word in command if f"{ATTENTION}=" in word]
    if named and named[-1] != "flash_attention_2":
        return
    if torch.cuda.is_available() and importlib.util.find_spec("flash_attn") is None:
        raise UserError(
            f"backend=verl attends with flash-attn, which is not installed here: `pip install '{VERL}'` "
            f"(docs/verl.md), or give backend.overrides='[\"+{ATTENTION}=sdpa\"]'"
        )


def dry_run(config: Config) -> None:
    """Write the files and print them with the command; nothing is started."""
    directory = RunDirectory(config)
    try:
        launch = prepare(config, directory)
    finally:
        directory.close()
    print(launch.shell())
    print("\n# files written:", *launch.files, sep="\n#   ")
    print("# on verl, other than natively:", *launch.differences, sep="\n#   ")
