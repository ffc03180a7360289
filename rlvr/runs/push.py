"""A run's model with a card that says what it is: for a folder, or a repository of the hub."""

import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from rlvr.config import Config
from rlvr.errors import UserError
from rlvr.evaluation.results import pass_at_k_of_run, percent
from rlvr.files.hub import reachable
from rlvr.files.run_files import RunFiles
from rlvr.runs.evaluate import chosen_step
from rlvr.runs.export import export_run
from rlvr.runs.outcome import cost

PAPERS = ("config.yaml", "provenance.json", "summary.json")  # each goes along as rlvr-<name>


def push_run(
    run: Path, folder: Path, *, step: int | None = None, dtype: str | None = None, hub: str | None = None
) -> str:
    """Export a run's checkpoint, write its card and its run's papers beside it, and upload that if asked.

    Args:
        step, dtype: as in `export_run`.
        hub: `owner/name` of a repository of models, which is made (private) where there is none.

    Returns:
        Where it is: the folder, or the address of the commit in the repository.

    Raises:
        UserError: what `export_run` refuses, or where the hub can't be reached or does not take it.
    """
    if hub is not None and not reachable():
        raise UserError(f"hub={hub}: the hub can't be reached; without hub= it is written to {folder}")
    files = RunFiles(run)
    evaluated = files.summary.get("checkpoint_step")
    chosen = chosen_step(files.config, run) if step is None else step
    export_run(run, folder, chosen, dtype)
    readme = folder / "README.md"
    readme.write_text(card(files, chosen, evaluated == chosen, readme.read_text()))
    for name in PAPERS:
        if (run / name).exists():
            shutil.copyfile(run / name, folder / f"rlvr-{name}")
    return upload(folder, hub) if hub else str(folder)


def upload(folder: Path, hub: str) -> str:
    """Put a folder into a repository of the hub, with the credentials that `hf auth login` left."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    try:
        HfApi().create_repo(hub, private=True, exist_ok=True)
        done = HfApi().upload_folder(
            repo_id=hub, folder_path=folder, commit_message="A policy trained by rlvr"
        )
    except (HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"hub={hub} was not uploaded ({reason}): log in with `hf auth login`; {folder} holds all of it"
        ) from error
    return str(done)


def card(run: RunFiles, step: int, evaluated: bool, how_to_ask: str) -> str:
    """The model card, as the hub shows it: what was trained, how well it does, and how to make it again.

    Args:
        evaluated: whether the run's evaluation is of this checkpoint.
        how_to_ask: what the export says of prompts and sampling.
    """
    config, provenance = run.config, run.provenance
    blocks = [
        f"---\n{yaml.safe_dump(metadata(config), sort_keys=False)}---",
        f"# {run.arm}, seed {run.seed}",
        f"{config.model.path}, trained by rlvr with {config.algorithm.name} on {config.data.name}: the "
        f"checkpoint of step {step} of {config.training.steps}.",
        "## How well it does",
        pass_at_k_table(run) if evaluated else "This checkpoint was not evaluated.",
        how_to_ask.rstrip(),
        "## What it took",
        f"{cost([run])}.",
        "## How to make it again",
        f"```bash\n{provenance.get('command', 'rlvr train')}\n```",
        "\n".join(f"- {name}: {text}" for name, text in made_with(provenance).items()),
        "All keys are in `rlvr-config.yaml`, versions and data in `rlvr-provenance.json`, numbers in "
        "`rlvr-summary.json`.",
        f"<details><summary>Config</summary>\n\n```yaml\n{(run.directory / 'config.yaml').read_text()}```\n\n"
        "</details>",
    ]
    return "\n\n".join(blocks) + "\n"


def metadata(config: Config) -> dict[str, Any]:
    """What the hub files a model by."""
    found: dict[str, Any] = {"library_name": "transformers", "pipeline_tag": "text-generation"}
    if config.model.path.count("/") == 1 and not Path(config.model.path).exists():
        found["base_model"] = config.model.path
    return found | {"tags": ["rlvr", "reinforcement-learning", config.algorithm.name]}


def pass_at_k_table(run: RunFiles) -> str:
    """pass@k of every benchmark as Markdown, with intervals over problems."""
    results = pass_at_k_of_run(run)
    ks = sorted(results["k"].unique())
    lines = ["| pass@k, % | problems | " + " | ".join(map(str, ks)) + " |", "|---" * (len(ks) + 2) + "|"]
    for (name, problems), rows in results.groupby(["benchmark", "problems"], sort=False):
        cells = {row.k: percent(row.value, row.low, row.high) for row in rows.itertuples()}
        lines.append(f"| {name} | {problems} | {' | '.join(cells.get(k, '–') for k in ks)} |")
    note = "± is half of a 95 % interval over problems. One seed says nothing about the noise of training."
    return "\n".join(lines) + f"\n\n{note}"


def made_with(provenance: dict[str, Any]) -> dict[str, str]:
    """Commit, versions, machine and data of a run, in words."""
    git, packages = provenance.get("git", {}), provenance.get("packages", {})
    changed = ", with changes" if git.get("dirty") else ""
    return {
        "commit of rlvr": f"{git.get('commit', 'unknown')}{changed}",
        "seed": str(provenance.get("seed", "unknown")),
        "Python": provenance.get("python", "unknown"),
        "packages": ", ".join(f"{name} {version}" for name, version in packages.items()) or "unknown",
        "hardware": json.dumps(provenance.get("hardware", {})),
        "data": json.dumps(provenance.get("data", {})),
    }
