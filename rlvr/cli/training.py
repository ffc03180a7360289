"""The verbs whose further key=value pairs are Hydra's: train, evaluate, profile, plan, reproduce."""

import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rlvr.cli.arguments import Verb, flag, given_of, key, optional_keys
from rlvr.cli.overrides import ConfigFolder, HydraFlags, gpus_per_run, options_of, part_of, show
from rlvr.errors import UserError, refuse_unknown
from rlvr.files.command import typed
from rlvr.runs.start import Start
from rlvr.tables.assumptions import Assumptions

ARMS = "of the table, the only ones to run, with those that they depend on; patterns too"


def stop_after_minutes() -> Any:
    return key(
        "break off all runs after so long, each with a checkpoint of its last step",
        None,
        above=0,
        example="10",
    )


def tables() -> list[str]:
    from rlvr.tables.names import tables

    return tables()


def deadline(minutes: float | None) -> float | None:
    """The time at which runs end in so many minutes; the same command goes on from there."""
    return None if minutes is None else time.time() + 60 * minutes


def run_folder(path: Path) -> Path:
    """A run's directory, which must be there; asked before anything slow is imported."""
    if not (path / "config.yaml").is_file():
        raise UserError(f"{path} is not a run directory: it has no config.yaml")
    return path


@dataclass(kw_only=True)
class Train(HydraFlags):
    stop_after_minutes: float | None = stop_after_minutes()
    multirun: bool = flag(
        "-m", "--multirun", help="a sweep: every combination of values given with commas, choice(), range()"
    )
    run: bool = flag("-r", "--run", help="one run, as without it")
    dry_run: bool = flag("--dry-run", help="backend=verl: write verl's files, print its command and stop")

    def __post_init__(self) -> None:
        super().__post_init__()
        whats = {"--cfg": self.cfg, "--info": self.info, "--multirun": self.multirun, "--run": self.run}
        if len(given := [name for name, value in {**whats, "--dry-run": self.dry_run}.items() if value]) > 1:
            raise UserError(f"{' and '.join(given)}: accepted is one of them")


def train(keys: Train) -> None:
    """Train one policy, or with -m a sweep of them, and evaluate its best checkpoint.

    rlvr train algorithm=cispo advantage_scaling=focal advantage_scaling.gamma=1.0
    rlvr train -m algorithm=grpo,dapo seed=1,2,3      every combination, two at a time
    rlvr train --cfg job algorithm=dapo               print the composed config and stop
    rlvr train scale=small data=jsonl data.path=questions.jsonl       your own questions and answers
    rlvr train reward=my_rewards.py:length_penalised                  your own reward (docs/how-to/rewards.md)
    rlvr train tracking=[wandb,tensorboard]                           several trackers
    rlvr train scale=gpu model=local model.path=folder-or-hub-id      your own model: docs/how-to/own-model.md
    rlvr train backend=verl rollout=vllm --dry-run    write verl's files, print its command and stop

    The run's folder is results/runs/<experiment>/<arm>/seed-<seed>; the same command goes on where
    a broken-off run stopped, and leaves a finished one alone. More training.steps go on from its end. The
    arms of a sweep are named by the keys that differ; `rlvr table` makes a table of them.
    """
    overrides = keys.overrides
    if show(keys, overrides):
        return
    from rlvr.config import load_config

    start = Start(deadline=deadline(keys.stop_after_minutes), processes=keys.gpus_per_run)
    if keys.dry_run:
        if (config := load_config(overrides, keys.config_name)).backend.name != "verl":
            raise UserError(
                f"--dry-run with backend={config.backend.name}: it is for backend=verl; `rlvr plan` says "
                "what a native run will take"
            )
        from rlvr.backends.verl.launch import dry_run

        dry_run(config)
    elif keys.multirun:
        from rlvr.runs.sweep import sweep

        sweep(overrides, config_name=keys.config_name, start=start, again=typed())
    else:
        config = load_config(overrides, keys.config_name)
        from rlvr.runs.sweep import run_with_display

        run_with_display(config, start, again=typed())


@dataclass(kw_only=True)
class Evaluate(HydraFlags):
    stop_after_minutes: float | None = stop_after_minutes()
    run: Path | None = key("the run whose chosen checkpoint is evaluated", None, example="results/runs/...")
    n: int | None = key("samples a problem, with k = 1, 2, 4, ... up to it", None, least=1, example="64")
    like: str | None = flag(
        "--like",
        help="also write evaluation/results_lm_eval.json, as lm-evaluation-harness would",
        value="lm-eval",
        choices=("lm-eval",),
    )


def evaluate(keys: Evaluate) -> None:
    """Evaluate a run's chosen checkpoint, or a model as it is.

    rlvr evaluate run=results/runs/adhoc/grpo-99f03341/seed-1 n=1024
    rlvr evaluate model=embedded benchmark=countdown_4 n=256
    rlvr evaluate model=smollm2-135m benchmark=math_offline n=64 --like lm-eval

    A model with max_completion_tokens (all but embedded) is evaluated at scale=small, so in bfloat16, with
    completions of that length, unless scale= is given; on a GPU by vLLM where that is installed. A killed
    evaluation goes on from its last shard.
    """
    from rlvr.runs.evaluation_config import config_of_run, overrides_of_evaluation
    from rlvr.runs.sweep import run_with_display

    overrides, name = keys.overrides, keys.config_name
    looks = keys.version or keys.hydra_help or keys.info
    if keys.run is not None:
        if name != "config":
            raise UserError("--config-name and run=: accepted is one of the two, since a run has its config")
        config = config_of_run(run_folder(keys.run), overrides_of_evaluation(overrides, n=keys.n))
        if keys.cfg and not looks:
            print(part_of(asdict(config), keys.package), end="")
            return
    elif not looks and name == "config" and not any(o.lstrip("+").startswith("model") for o in overrides):
        raise UserError("evaluate needs a run or a model, as in run=results/runs/... or model=embedded")
    else:
        overrides = overrides_of_evaluation(overrides, n=keys.n, config_name=name)
    if show(keys, overrides):
        return
    if keys.run is None:
        from rlvr.config import load_config

        config = load_config(overrides, name)
    start = Start(evaluate=True, deadline=deadline(keys.stop_after_minutes), processes=keys.gpus_per_run)
    folder = run_with_display(config, start, again=typed())
    if keys.like:
        from rlvr.runs.lm_eval import write_lm_eval

        print(write_lm_eval(config, folder))


@dataclass(kw_only=True)
class Profile(HydraFlags):
    n: int | None = key("samples a problem (profile.n)", None, least=1, example="8")


def profile(keys: Profile) -> None:
    """Sample every training problem n times under the initial policy, and count the right answers.

    rlvr profile n=8
    rlvr profile data.size=800 model=embedded n=16
    rlvr train curriculum=sgpo group_size=inverse_success        finds it, with the same overrides

    It is made once for a model, a data set and a way of sampling (results/runs/profiles/...); a killed
    profile goes on from its last shard. With n other than 8, give profile.n=<n> to `rlvr train` too.
    """
    overrides = [*keys.overrides, *([] if keys.n is None else [f"profile.n={keys.n}"])]
    if show(keys, overrides):
        return
    from rlvr.config import load_config

    config = load_config(overrides, keys.config_name)
    from rlvr.curriculum.profile import profile_file
    from rlvr.runs.profile import describe
    from rlvr.runs.sweep import run_with_display
    from rlvr.training.distributed.ranks import rank

    run_with_display(config, Start(makes="profile", processes=keys.gpus_per_run))
    if rank() == 0:
        print(f"{(file := profile_file(config))}\n{describe(file)}")


@dataclass(kw_only=True)
class OfATable(ConfigFolder):
    table: str | None = key(
        "a table of experiments/ in the place of one run", None, choices=tables, others=True
    )
    experiments: Path | None = key("a folder of tables of your own; without it, ./experiments", None)
    seeds: list[int] = key("of the table's arms; without it, those of its file", (), example="1,2,3")
    arms: list[str] = key(ARMS, (), example="grpo,f-*")


Plan: Any = optional_keys("Plan", Assumptions, (OfATable,))


def plan(keys: Any) -> None:
    """Say what a run or a table will do and take, without a GPU or the weights, and check its files.

    rlvr plan scale=paper advantage_scaling=focal
    rlvr plan table=fgrpo/table1 scale=paper gpus=8 mean_tokens=2000

    Counts follow from the config; times follow from the assumptions, which are printed with them. A table's
    file may have assumptions of its own. GPUs are those of this machine unless gpus= and gpu_gib= are given;
    without any, the scales made for a CPU are planned for one, and the others for 16 of 80 GiB.
    What does not fit in their memory is said with the nearest remedy, and the exit status is 1. So it is
    where something that a run would need is missing or damaged; not where it may be on the hub and there is
    no network here.
    """
    if not keys.table:
        if given := [name for name in ("experiments", "seeds", "arms") if getattr(keys, name)]:
            raise UserError(f"{given[0]}= is for a table: write table=<paper>/<table> too")
        from rlvr.config import load_config

        load_config(keys.overrides)  # what is wrong is said before torch is imported
    else:
        from rlvr.tables.names import find_table

        find_table(keys.table, keys.experiments)
    from rlvr.runs.estimate import print_estimate

    reason = print_estimate(
        keys.overrides,
        table=keys.table,
        seeds=keys.seeds,
        arms=keys.arms,
        experiments=keys.experiments,
        **given_of(keys, Assumptions),
    )
    if reason:
        print(f"rlvr: {reason}", file=sys.stderr)
        sys.exit(1)


@dataclass(kw_only=True)
class Reproduce(ConfigFolder):
    table: str = key(
        "a table of experiments/, as <paper>/<table>", choices=tables, others=True, example="fgrpo/table1"
    )
    experiments: Path | None = key("a folder of tables of your own; without it, ./experiments", None)
    scale: str | None = key(
        "one of conf/scale; without it, the table's own",
        None,
        choices=lambda: options_of("scale"),
        others=True,
    )
    seeds: list[int] = key("of every arm; without it, those of the table's file", (), example="1,2,3")
    arms: list[str] = key(ARMS, (), example="grpo,f-*")
    results: Path = key("where runs, tables and figures go", Path("results"))
    stop_after_minutes: float | None = stop_after_minutes()
    gpus_per_run: int = gpus_per_run()
    render: bool = flag("--render", help="render what has been run so far, and start nothing")

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_unknown("scale", [self.scale] if self.scale else [], options_of("scale"))


def reproduce(keys: Reproduce) -> None:
    """Reproduce a published table: train its arms, evaluate them, render table and figures.

    rlvr reproduce table=fgrpo/table1 scale=laptop seeds=1,2,3
    rlvr reproduce table=fgrpo/table1 scale=paper gpus_per_run=8         the published setting, on GPUs
    rlvr reproduce table=fgrpo/table1 --render               render what has been run so far
    rlvr reproduce table=fgrpo/table4 scale=gpu stop_after_minutes=10     a piece; repeat it until all is done
    rlvr reproduce table=fgrpo/table1 arms=grpo,f-grpo-*            these arms alone

    Further key=value pairs go to every run. Finished runs are not run again. With arms= the table is written
    whole, and the other arms stand in it as they are: not run yet, or finished before.
    """
    from rlvr.tables.names import find_table

    find_table(keys.table, keys.experiments)  # what is wrong is said before torch is imported
    from rlvr.runs.reproduce import reproduce_table

    reproduce_table(
        keys.table,
        scale=keys.scale,
        seeds=keys.seeds,
        arms=keys.arms,
        results=keys.results,
        experiments=keys.experiments,
        overrides=keys.overrides,
        start=Start(deadline=deadline(keys.stop_after_minutes), processes=keys.gpus_per_run),
        render_only=keys.render,
    )


VERBS = (
    Verb("reproduce", reproduce, Reproduce),
    Verb("train", train, Train, together=True),
    Verb("evaluate", evaluate, Evaluate, together=True),
    Verb("profile", profile, Profile),
    Verb("plan", plan, Plan),
)
