"""The command line: `rlvr <verb> [key=value ...]`.

Every verb's work is imported when the verb is called, so that `rlvr --help` answers at once.
"""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rlvr.errors import UserError, unknown

HELP = """\
rlvr: reinforcement learning with verifiable rewards, from a paper's table to your own policy.

  rlvr reproduce table=fgrpo/table1          reproduce a published table at laptop scale
  rlvr train algorithm=dapo seed=2           one run; any key of conf/ can be given as key=value
  rlvr train -m algorithm=grpo,dapo advantage_scaling=none,focal seed=1,2,3
                                             a sweep: every combination, two runs at a time
  rlvr evaluate run=results/runs/...         evaluate a run's chosen checkpoint again
  rlvr export results/runs/... my-policy     its chosen checkpoint for transformers and vLLM
  rlvr profile n=8                           how often the initial policy solves each training problem
  rlvr select method=lim run=results/runs/...
                                             the problems worth training on, by how a run went
  rlvr simulate                              the paper's simulation of small groups, and its figures
  rlvr plan table=fgrpo/table1 scale=paper   what it will take, before it is run
  rlvr claims paper=fgrpo                    what a paper claims against what is measured here
  rlvr watch results/runs/...                a run at work: progress, curves, last samples, warnings
  rlvr report results/runs/fgrpo/table1/laptop
                                             one HTML file to look at a table, a sweep or a run with
  rlvr warm-start policy=embedded            make one of rlvr's own policies from nothing
  rlvr bench part=step,update                how fast it is, and how fast TRL and vLLM are on the same work
  rlvr doctor                                what this machine can run, and what to do about the rest

`rlvr <verb> --help` says more, with examples. `rlvr train --cfg` prints a run's config without running it.
`eval "$(rlvr completion bash)"` (or zsh, or fish) completes verbs, keys and their values.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `rlvr` command."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP)
        return
    verb, rest = arguments[0], arguments[1:]
    try:
        if verb in ("-V", "--version"):
            from rlvr import __version__

            print(f"rlvr {__version__}")
            return
        if verb not in VERBS:
            raise unknown("verb", verb, VERBS)
        if int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ and verb not in TOGETHER:
            raise UserError(f"torchrun was given with `rlvr {verb}`: accepted are {' and '.join(TOGETHER)}")
        if "-h" in rest or "--help" in rest:
            print(VERBS[verb].__doc__)
            return
        VERBS[verb](rest)
    except UserError as error:
        print(f"rlvr: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sentence = "interrupted; what was finished is kept, the same command goes on from there"
        print(f"rlvr: {sentence}", file=sys.stderr)
        sys.exit(130)


def train(arguments: list[str]) -> None:
    """Train one policy, or with -m a sweep of them, and evaluate its best checkpoint.

    rlvr train algorithm=cispo advantage_scaling=focal advantage_scaling.gamma=1.0
    rlvr train -m algorithm=grpo,dapo seed=1,2,3      every combination, two at a time
    rlvr train --cfg algorithm=dapo                   print the composed config and stop
    rlvr train scale=small data=jsonl data.path=questions.jsonl       your own questions and answers
    rlvr train scale=small model=local model.path=folder-or-hub-id    your own model
    rlvr train backend=verl rollout=vllm --dry-run    write verl's files, print its command and stop

    The run's folder is results/runs/<experiment>/<arm>/seed-<seed>; the same command goes on where
    a broken-off run stopped, and leaves a finished one alone. stop_after_minutes=10 breaks off all its
    runs by itself after so long, each with a checkpoint of its last step.
    """
    flags = {"-m", "--multirun", "--cfg", "--dry-run"}
    from rlvr.runs.sweep import with_deadline

    overrides = with_deadline([argument for argument in arguments if argument not in flags])
    if "--cfg" in arguments:
        from rlvr.config import load_config, to_yaml

        print(to_yaml(load_config(overrides)))
    elif "--dry-run" in arguments:
        from rlvr.config import load_config

        if (config := load_config(overrides)).backend.name != "verl":
            raise UserError(
                f"--dry-run with backend={config.backend.name}: it is for backend=verl; `rlvr plan` says "
                "what a native run will take"
            )
        from rlvr.backends.verl.launch import dry_run

        dry_run(config)
    elif {"-m", "--multirun"} & set(arguments):
        from rlvr.runs.sweep import expand, launch

        launch(expand(overrides))
    else:
        from rlvr.config import load_config
        from rlvr.runs.sweep import run_with_display

        run_with_display(load_config(overrides))


def completion(arguments: list[str]) -> None:
    """Print what makes a shell complete verbs, keys and values: bash, zsh or fish.

    eval "$(rlvr completion bash)"                         for this shell; in ~/.bashrc, for all
    rlvr completion fish > ~/.config/fish/completions/rlvr.fish
    """
    from rlvr.cli.completion import completion as complete

    print(complete(arguments, list(VERBS)))


def evaluate(arguments: list[str]) -> None:
    """Evaluate a run's chosen checkpoint, or a model as it is.

    rlvr evaluate run=results/runs/adhoc/grpo-99f03341/seed-1 n=1024
    rlvr evaluate model=embedded benchmark=countdown_4 n=256
    rlvr evaluate model=smollm2-135m benchmark=math_offline n=64

    n is the number of samples a problem, evaluation.samples, with k = 1, 2, 4, ... up to it. A language model
    is evaluated at scale=small, with completions as long as its own config says, unless scale= is given. A
    killed evaluation goes on from its last shard.
    """
    from rlvr.runs.sweep import config_of_evaluation, run_with_display

    run_with_display(config_of_evaluation(arguments), print_results=True)


def export(arguments: list[str]) -> None:
    """Write a run's chosen checkpoint as a folder that transformers and vLLM load.

    rlvr export results/runs/adhoc/grpo-99f03341/seed-1 my-policy
    rlvr export results/runs/... my-policy step=100 dtype=bfloat16

    Without step= it is the checkpoint that `rlvr evaluate` takes; without dtype= weights stay as trained.
    """
    from rlvr.runs.export import export_run

    folders = [argument for argument in arguments if "=" not in argument]
    settings = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    for key in settings:
        if key not in ("step", "dtype"):
            raise unknown("setting of export", key, ("step", "dtype"))
    if len(folders) != 2:
        raise UserError(
            f"export was given {len(folders)} folders: accepted are two, "
            "`rlvr export <run directory> <new folder>`"
        )
    print(export_run(*folders, **settings))


def reproduce(arguments: list[str]) -> None:
    """Reproduce a published table: train its arms, evaluate them, render table and figures.

    rlvr reproduce table=fgrpo/table1 scale=laptop seeds=1,2,3
    rlvr reproduce table=fgrpo/table1 scale=paper            the published setting, on GPUs
    rlvr reproduce table=fgrpo/table1 --render               render what has been run so far
    rlvr reproduce table=fgrpo/table4 scale=gpu stop_after_minutes=10     a piece; repeat it until all is done

    Further key=value pairs go to every run. Finished runs are not run again.
    """
    from rlvr.runs.reproduce import reproduce_table

    render_only = "--render" in arguments
    reproduce_table([argument for argument in arguments if argument != "--render"], render_only=render_only)


def profile(arguments: list[str]) -> None:
    """Sample every training problem n times under the initial policy, and count the right answers.

    rlvr profile n=8
    rlvr profile data.size=800 model=embedded n=16
    rlvr train curriculum=sgpo group_size=inverse_success        finds it, with the same overrides

    It is made once for a model, a data set and a way of sampling (results/runs/profiles/...); a killed
    profile goes on from its last shard. With n other than 8, give profile.n=<n> to `rlvr train` too.
    """
    from rlvr.config import load_config
    from rlvr.runs.profile import describe, profile_with_display

    file = profile_with_display(load_config([f"profile.{a}" if a.startswith("n=") else a for a in arguments]))
    print(f"{file}\n{describe(file)}")


def select(arguments: list[str]) -> None:
    """Choose the problems worth training on, from how a run on all of them went.

    rlvr select method=lim run=results/runs/adhoc/grpo-99f03341/seed-1 threshold=0.6
    rlvr select method=linear run=...                   problems that improve steadily
    rlvr select method=random_subset run=... size=500   without size=, as many as method=lim keeps
    rlvr train curriculum=lim curriculum.selection=results/runs/adhoc/grpo-99f03341/seed-1/selection-lim.json

    Further settings: share= (keep the best-scoring share instead), epochs= (the first so many only),
    seed= (of a random subset), file=.
    """
    from rlvr.runs.select import select_from_command_line

    print(select_from_command_line(dict(argument.partition("=")[::2] for argument in arguments)))


def simulate(arguments: list[str]) -> None:
    """Simulate group sampling on 128,000 actions (F-GRPO, Fig. 2), or λ-GRPO's toy tree.

    rlvr simulate                    17 group sizes, two gammas, four seeds: minutes on two cores
    rlvr simulate --figures          draw figures 1a to 5 from what has been simulated
    rlvr simulate what=toy_tree      a path behind bad first steps, five minutes of one core

    A killed simulation goes on with the runs it lacks. Files: results/theory, results/figures/theory, and
    results/tables/lambda_grpo-toy_tree.md.
    """
    if arguments == ["what=toy_tree"]:
        from rlvr.tables.toy_tree import write_toy_tree

        print(write_toy_tree(Path("results")).read_text())
        return
    from rlvr.theory import run_simulation_grid
    from rlvr.theory.figures import figure_1a, figure_2, figure_3, figure_4, figure_5

    if unaccepted := [argument for argument in arguments if argument != "--figures"]:
        raise unknown("argument of simulate", unaccepted[0], ["--figures", "what=toy_tree"])
    grid = Path("results/theory/categorical.npz")
    if "--figures" not in arguments:
        grid = run_simulation_grid(grid.parent)
    elif not grid.exists():
        raise UserError(f"{grid} is not there: run rlvr simulate without --figures first")
    folder = Path("results/figures/theory")
    drawn = [*figure_1a(folder / "figure_1a"), *figure_2(grid, folder / "figure_2")]
    for number, draw in ((3, figure_3), (4, figure_4), (5, figure_5)):
        drawn += draw(folder / f"figure_{number}")
    print("\n".join(map(str, [grid, *drawn])))


def plan(arguments: list[str]) -> None:
    """Say what a run or a table will do and take, without a GPU or the weights, and check its files.

    rlvr plan scale=paper advantage_scaling=focal
    rlvr plan table=fgrpo/table1 scale=paper gpus=8 mean_tokens=2000

    Further key=value pairs are those of `rlvr train`, or assumptions: gpus, gpu_gib, peak_tflops,
    sampling_share, training_share, mean_tokens, prompt_tokens, layer_ms. A table's file may have its own.
    """
    from rlvr.runs.estimate import main as print_plan

    print_plan(arguments)


def claims(arguments: list[str]) -> None:
    """Say of each claim of a paper whether what was measured here shows it, from the files of tables.

    rlvr claims                                all papers that have claims declared
    rlvr claims paper=fgrpo scale=laptop

    Pages: results/<paper>.md. `rlvr reproduce` writes them again after every table.
    """
    from rlvr.config import EXPERIMENTS
    from rlvr.tables.claims_page import papers, write_claims

    settings = {"paper": "", "scale": "laptop", "results": "results"}
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key not in settings:
            raise unknown("setting of claims", key, settings)
        settings[key] = value
    for paper in [settings["paper"]] if settings["paper"] else papers(EXPERIMENTS):
        print(write_claims(paper, settings["scale"], Path(settings["results"]), EXPERIMENTS))


def report(arguments: list[str]) -> None:
    """Write one HTML file to look at a table, a sweep or a run with; it needs no network and sends nothing.

    rlvr report results/runs/fgrpo/table1/laptop          a table: the folder of its arms
    rlvr report results/runs/adhoc                        a sweep, as far as it is
    rlvr report results/runs/adhoc/grpo-99f03341/seed-1   a run
    rlvr report results/runs/adhoc file=monday.html       without file=, report.html in that folder
    """
    from rlvr.report import find_runs, write_report

    path, options = path_and_options("report", arguments, ["file"])
    file = write_report(find_runs(path), Path(options.get("file", path / "report.html")))
    print(f"{file} ({file.stat().st_size / 1e6:.1f} MB)")


def watch(arguments: list[str]) -> None:
    """Show a run at work: progress, time left, the curves that matter, the last samples, and warnings.

    rlvr watch results/runs/adhoc/grpo-99f03341/seed-1
    rlvr watch results/runs/adhoc/grpo-99f03341/seed-1 --once    as it is now, also of a finished run

    It only reads the run's files, so it can be started and stopped at any time, from any terminal.
    """
    from rlvr.tracking.watch import watch

    path, _ = path_and_options("watch", [a for a in arguments if a != "--once"], ["--once"])
    watch(path, once="--once" in arguments)


def path_and_options(verb: str, arguments: list[str], accepted: list[str]) -> tuple[Path, dict[str, str]]:
    """The one folder of a command line, which must exist, and its key=value pairs."""
    options = dict(a.split("=", 1) for a in arguments if a.split("=", 1)[0] in accepted and "=" in a)
    paths = [a for a in arguments if a.split("=", 1)[0] not in options]
    for path in paths:
        if not Path(path).is_dir() and (path.startswith("-") or "=" in path):
            raise unknown(f"argument of {verb}", path.split("=")[0], accepted)
    if len(paths) != 1:
        raise UserError(f"rlvr {verb} got {len(paths)} folders: accepted is one, as in results/runs/adhoc")
    if not (path := Path(paths[0])).is_dir():
        raise UserError(
            f"{path} is no folder: accepted is a run's or one above runs, as in results/runs/adhoc"
        )
    return path, options


def warm_start(arguments: list[str]) -> None:
    """Make one of rlvr's own policies from nothing: supervised training on solved examples.

    rlvr warm-start policy=embedded folder=my-policy steps=2500 seed=0
    rlvr warm-start policy=maze_3m        F-GRPO's maze policy, where model=maze_3m finds it

    Policies: embedded, maze_3m, maze_small. Without folder=, a policy whose weights do not come with rlvr
    goes where its model finds it, unless settings are given; all else goes to ./warm-start.
    """
    from rlvr.warm_start.train import warm_start_from_command_line

    warm_start_from_command_line(dict(argument.partition("=")[::2] for argument in arguments))


def bench(arguments: list[str]) -> None:
    """Measure rlvr, against TRL and vLLM where they are installed, and against what was measured before.

    rlvr bench                                        everything: most of an hour on two cores
    rlvr bench part=step,update model=embedded rounds=10
    rlvr bench part=generation model=smollm2 precision=float32,bfloat16

    part: step, generation, logprobs, update, memory, scaling, pass_at_k, process_sets, packing,
    verification, startup. Others: threads=2, folder=results/bench, and trl_micro_batch for another number of
    rollouts that go through TRL's model together. `make bench` builds TRL's environment.
    """
    from rlvr.bench.command import bench

    bench(arguments)


def doctor(arguments: list[str]) -> None:
    """Say what this machine can run, and what to do about each lack. Nothing is changed.

    rlvr doctor
    """
    if arguments:
        raise UserError(f"doctor takes no arguments: {arguments[0]!r} was given")
    from rlvr.cli.doctor import examine

    examine()


TOGETHER = ("train", "evaluate")  # what several processes do as one, under torchrun
VERBS: dict[str, Callable[[list[str]], None]] = {
    "train": train,
    "evaluate": evaluate,
    "export": export,
    "reproduce": reproduce,
    "profile": profile,
    "select": select,
    "simulate": simulate,
    "plan": plan,
    "claims": claims,
    "report": report,
    "watch": watch,
    "warm-start": warm_start,
    "bench": bench,
    "doctor": doctor,
    "completion": completion,
}
