"""A table's YAML file, read: what it extends, what a scale changes, and arms that are another table's.

On top of the keys of `rlvr.tables.spec.Layout` a file may say

extends: fgrpo/table1                       # another file, whose keys hold where this one has none
scale: small                                # the one that it is made at unless another is given; else laptop
scales: {paper: {columns: ...}}             # what replaces the keys at one scale

Reading one imports neither torch nor pandas, so that a misspelt name is answered at once.
"""

import itertools
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rlvr.config import EXPERIMENTS, options_of
from rlvr.config.strict import check_keys, load_yaml, strictly
from rlvr.errors import UserError, refuse_unknown, unknown
from rlvr.tables.spec import DOMAINS, LAPTOP, Arm, TableFile, TableSpec, check_spec, refuse_keys_of_a_table


def read_spec(path: Path, scale: str, root: Path | None = None) -> TableSpec:
    """The table of a file at a scale.

    Args:
        root: the folder of all tables, which names are seen from; without it, that of `<paper>/<table>.yaml`.

    Raises:
        UserError: for a key that there is not, or if the table is incomplete or refers to what is not there.
    """
    root = root or path.parents[1]
    layout = read_layout(path, root)
    layout.pop("scale", None)
    layout = joined(layout, layout.pop("scales", {}).get(scale) or {})
    spec = strictly(TableSpec, layout | {"name": path.relative_to(root).with_suffix("").as_posix()}, path)
    for overrides in (spec.overrides, *(arm.overrides for arm in spec.arms if not arm.of)):
        refuse_keys_of_a_table(overrides, f"in {path}")
    if spec.rates:
        spec.arms += arms_at_other_rates(spec)
    if any(arm.of for arm in spec.arms):
        share_arms(spec, scale, root)
    refuse_unknown(f"group in columns of {path}", spec.columns, DOMAINS)
    check_spec(spec)
    return spec


def arms_at_other_rates(spec: TableSpec) -> list[Arm]:
    """The arms whose learning rate is checked, at the others; each becomes the member that they are of."""
    by_name = {arm.name: arm for arm in spec.arms}
    refuse_unknown(f"arm in rates of table {spec.name}", spec.rates.arms, by_name)
    found = []
    for times, name in itertools.product(spec.rates.times, spec.rates.arms):
        arm = by_name[name]
        arm.member = arm.member or arm.label
        found.append(
            replace(
                arm,
                name=f"{arm.name}-x{times:g}",
                label=f"{arm.label} at {times:g} x its rate",
                baseline=f"{arm.baseline}-x{times:g}" if arm.baseline in spec.rates.arms else None,
                of=arm.of and f"{arm.of}-x{times:g}",
                rate=f"x {times:g}",
                times=times,
                # a figure over what is swept has the arms at the table's own rate
                **dict.fromkeys(("series", "x", "group_size", "gamma")),
            )
        )
    return found


def share_arms(spec: TableSpec, scale: str, root: Path) -> None:
    """Give the arms that are `of` another table what makes them that table's.

    Raises:
        UserError: where the table or the arm is not there, or an arm has overrides of its own too.
    """
    file = root / f"{spec.shares}.yaml"
    if spec.shares == spec.name or not file.is_file():
        raise UserError(f"table {spec.name} shares {spec.shares}: accepted is <paper>/<table> in {root}")
    other = read_spec(file, scale, root)
    by_name = {arm.name: arm for arm in other.arms}
    for arm in spec.arms:
        if not arm.of:
            continue
        refuse_unknown(f"arm of {spec.shares}, which arm {arm.name} of {spec.name} is,", [arm.of], by_name)
        if arm.overrides:
            raise UserError(f"arm {arm.name} of {spec.name} is {spec.shares}'s {arm.of}: it has no overrides")
        theirs = by_name[arm.of]
        where = [f"arm={arm.of}", f"experiment={other.folder(scale)}"]
        arm.overrides = [*other.overrides, *theirs.overrides, *where]
        arm.times, arm.select, arm.ask = theirs.times, theirs.select, theirs.ask


def read_layout(path: Path, root: Path | None = None, below: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A table's file for all scales, on top of the files that it extends, as plain YAML with known keys.

    It stays YAML until a scale is chosen, since what a file does not say has to be told from what it sets
    to a default. A file that extends one of its own name is on top of rlvr's.

    Args:
        below: the files that extend this one.

    Raises:
        UserError: for a key or a value that no table has, or if a file that it extends is not there, or
            extends it.
    """
    layout = load_yaml(path)
    check_keys(TableFile, layout, path)
    check_scales(layout.get("scales", {}), f"scales of {path}")
    check_scales([layout.get("scale", LAPTOP)], f"scale of {path}")
    if not (parent := layout.pop("extends", None)):
        return layout
    roots = (root or path.parents[1], EXPERIMENTS)
    for folder in roots:
        if (file := folder / f"{parent}.yaml").is_file() and not file.samefile(path):
            if file in below:
                raise UserError(
                    f"{path} extends {parent}, which extends it: accepted is a file that does not"
                )
            return joined(read_layout(file, folder, (*below, path)), layout)
    there = {str(f.relative_to(folder).with_suffix("")) for folder in roots for f in folder.rglob("*.yaml")}
    raise unknown(f"file that {path} extends", parent, there)


def check_scales(names: Iterable[str], place: str) -> None:
    """Refuse scales that neither `conf/scale` nor a folder of one's own has."""
    refuse_unknown(f"scale in {place}", names, options_of("scale"))


def joined(first: dict[str, Any], then: dict[str, Any]) -> dict[str, Any]:
    """Two layouts, the second's keys before the first's; `labels`, `published` and `scales` key by key."""
    result = first | then
    for key in ("labels", "published"):
        if first.get(key) and then.get(key):
            result[key] = first[key] | then[key]
    if "scales" in first and "scales" in then:
        names = first["scales"] | then["scales"]
        result["scales"] = {
            name: joined(first["scales"].get(name, {}), then["scales"].get(name, {})) for name in names
        }
    return result
