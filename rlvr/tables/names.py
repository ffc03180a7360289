"""Which tables there are, and which papers have claims: the files of `experiments/`."""

import re
from pathlib import Path

from rlvr.config import CONFIG_DIRS, EXPERIMENTS
from rlvr.errors import UserError, nearest, unknown
from rlvr.tables.read_spec import read_layout, read_spec
from rlvr.tables.spec import LAPTOP, TableSpec

CLAIMS = "claims.yaml"  # beside the tables of a paper


def folders(own: Path | None = None) -> list[Path]:
    """Where tables are looked for: a person's own folder, or `experiments/` here, and that of each of
    `CONFIG_DIRS`; then rlvr's."""
    here = Path("experiments")
    found = [own] if own else [here] if here.is_dir() and not here.samefile(EXPERIMENTS) else []
    further = [there for folder in CONFIG_DIRS if (there := folder / "experiments").is_dir()]
    return [*found, *further, EXPERIMENTS]


def tables(own: Path | None = None) -> list[str]:
    """The names of all tables that can be reproduced: `<paper>/<table>` or `<table>`, a file each."""
    return sorted({name for folder in folders(own) for name in tables_of(folder)})


def tables_of(folder: Path) -> list[str]:
    """The tables of one folder, without files that others extend: those have no arms."""
    files = [*folder.glob("*.yaml"), *folder.glob("*/*.yaml")]
    whole = [file for file in files if file.name != CLAIMS and has_arms(file)]
    return [file.relative_to(folder).with_suffix("").as_posix() for file in whole]


def has_arms(file: Path) -> bool:
    """Whether a table's file has arms, or those of a table it extends; what can't be read is said later."""
    return re.search(r"^(arms|extends|runs) *:", file.read_text(errors="replace"), re.MULTILINE) is not None


def read_table(name: str, scale: str, own: Path | None = None) -> TableSpec:
    """The table of a name at a scale; see `find_table`."""
    file, root = find_table(name, own)
    return read_spec(file, scale, root)


def scale_of(name: str, own: Path | None = None) -> str:
    """The scale that a table is made at unless another is given."""
    return read_layout(*find_table(name, own)).get("scale", LAPTOP)


def find_table(name: str, own: Path | None = None) -> tuple[Path, Path]:
    """The file of a table, given by name or as `<file>.yaml`, and the folder that names are seen from.

    Args:
        own: a folder of tables that is looked through before rlvr's.

    Raises:
        UserError: where there is none.
    """
    if own is not None and not own.is_dir():
        raise UserError(f"experiments={own}: there is no such folder; accepted is one of YAML files")
    if name.endswith(".yaml") and (file := Path(name)).is_file():
        return file, file.parent
    for folder in folders(own):
        if name in tables_of(folder):
            return folder / f"{name}.yaml", folder
    where = f"one of your own is experiments/{name}.yaml here, or in the folder of experiments="
    if looked := [str(folder) for folder in folders(own) if folder != EXPERIMENTS]:
        where = f"it was looked for in {', '.join(looked)} and among rlvr's own"
    raise unknown("table", name, tables(own), f"{nearest(name, tables(own))}; {where}")


def papers(experiments: Path = EXPERIMENTS) -> list[str]:
    """The papers whose claims are declared."""
    return sorted(file.parent.name for file in experiments.glob(f"*/{CLAIMS}"))
