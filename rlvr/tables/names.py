"""Which tables there are, and which papers have claims: the files of `experiments/`."""

from pathlib import Path

from rlvr.config import EXPERIMENTS

CLAIMS = "claims.yaml"  # beside the tables of a paper


def tables() -> list[str]:
    """The names of all tables that can be reproduced: `<paper>/<table>`, a file each."""
    files = [file for file in EXPERIMENTS.glob("*/*.yaml") if file.name != CLAIMS]
    return sorted(str(file.relative_to(EXPERIMENTS).with_suffix("")) for file in files)


def papers(experiments: Path = EXPERIMENTS) -> list[str]:
    """The papers whose claims are declared."""
    return sorted(file.parent.name for file in experiments.glob(f"*/{CLAIMS}"))
