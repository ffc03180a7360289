"""What a paper claims, as `experiments/<paper>/claims.yaml` declares it: differences said to be above zero.

paper: "F-GRPO: ... (arXiv:2602.06717)"
claims:
  - claim: what the paper says
    source: Table 2
    table: fgrpo/table2                       # whose ...-differences.csv is read, or simulation
    differences:                              # all of them are to be above zero
      - {metric: pass@256, group: in_domain, arm: grpo-n2, minus: grpo-n8}
  - claim: what cannot be tried at a scale
    source: Table 1
    untestable: {laptop: why}

A difference with a `unit` is what an arm saves against its baseline in a table with `effort`, less the
factor claimed: {unit: flops, target: 1.0, arm: sgpo, minus: grpo, factor: 2.5}. The table `toy_tree` has
λ-GRPO minus GRPO at {learning_rate: 1e-4, n: 1, r_neg: -0.5}. The table `simulation` has metrics of the
simulation grid and no groups; an arm of it is {group_size: 2, gamma: 0}, after its last step or `step: 0`.
Keys that stand beside `differences` hold for each of them. In a table with a `frontier`, {member: focal,
by: pass@16} is the arm of a member whose learning rate was best by pass@16 in validation.

With `correction: holm` all differences of the file are one family
(`rlvr.evaluation.significance.holm_intervals`).

With `scales: [small]` they are asked at that scale alone.

`left_out` has a sentence for each claim of the paper that no difference here tries. When a claim was
declared is read from git (`rlvr.tables.declared`).
"""

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from rlvr.config.strict import load_yaml, strictly
from rlvr.errors import UserError, refuse_unknown
from rlvr.tables.names import tables_of
from rlvr.tables.read_spec import check_scales, read_layout

SIMULATION, TOY_TREE = "simulation", "toy_tree"
NEEDED = {  # keys of a difference, by what it is measured in
    "table": ("metric", "group", "arm", "minus"),
    "savings": ("unit", "target", "factor", "arm", "minus"),
    SIMULATION: ("metric", "arm", "minus"),
    TOY_TREE: ("learning_rate", "n", "r_neg"),
}


@dataclass(frozen=True)
class SimulatedArm:
    """A setting of the simulation, after its last step or another."""

    group_size: int
    gamma: int | float
    step: int | None = None

    def __str__(self) -> str:
        step = f" at step {self.step}" if self.step is not None else ""
        return f"N={self.group_size:,} γ={self.gamma:g}{step}"


@dataclass(frozen=True)
class BestRate:
    """The arm of a member, at its own strength, with the best learning rate by a metric of validation."""

    member: str
    by: str

    def __str__(self) -> str:
        return f"{self.member} at its best rate by {self.by}"


@dataclass(frozen=True)
class SharedKeys:
    """The keys of a difference that may stand beside `differences`, for all of them."""

    table: str | None = None
    metric: str | None = None
    group: str | None = None
    unit: str | None = None
    target: int | float | str | None = None
    factor: int | float | None = None
    learning_rate: int | float | None = None


@dataclass(frozen=True)
class DifferenceSpec(SharedKeys):
    """A difference as it is declared; `arm` and `minus` are names, or settings of the simulation."""

    arm: Any = None
    minus: Any = None
    n: int | None = None
    r_neg: int | float | None = None

    @property
    def kind(self) -> str:
        """What it is measured in: a key of `NEEDED`."""
        if self.table in (SIMULATION, TOY_TREE):
            return self.table
        return "savings" if self.unit else "table"


@dataclass(frozen=True)
class ClaimSpec(SharedKeys):
    """A claim as its file has it.

    Attributes:
        untestable: by scale, why it cannot be tried there.
    """

    claim: str = ""
    source: str = ""
    differences: list[DifferenceSpec] = field(default_factory=list)
    untestable: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ClaimsFile:
    """A paper's claims.

    Attributes:
        left_out: sentences on those of its claims that no difference here tries, and what these leave open.
        correction: of the intervals for their number: "holm", or none.
        figures: stems of files in `results/figures` that the page shows.
        scales: at which they are asked; none: at all.
    """

    paper: str
    claims: list[ClaimSpec]
    left_out: list[str] = field(default_factory=list)
    correction: str | None = None
    figures: list[str] = field(default_factory=list)
    scales: list[str] = field(default_factory=list)


def read_claims(file: Path) -> ClaimsFile:
    """The paper and its claims, each difference with the keys that stand beside it.

    Raises:
        UserError: for a key that there is not, or a difference that lacks one; it names file and claim.
    """
    declared = strictly(ClaimsFile, load_yaml(file), file)
    if declared.correction is not None:
        refuse_unknown(f"correction of {file}", [declared.correction], ["holm"])
    check_scales(declared.scales, f"scales of {file}")
    return replace(declared, claims=[_complete(claim, file) for claim in declared.claims])


def _complete(declared: ClaimSpec, file: Path) -> ClaimSpec:
    place = f"claim {declared.claim!r} of {file}"
    check_scales(declared.untestable, f"untestable of {place}")
    shared = {item.name: getattr(declared, item.name) for item in fields(SharedKeys)}
    differences = []
    tables = [SIMULATION, TOY_TREE, *tables_of(file.parents[1])]
    for stated in declared.differences:
        own = {key: value for key, value in vars(stated).items() if value is not None}
        one = DifferenceSpec(**(shared | own))
        for key in ("table", *NEEDED[one.kind]):
            if getattr(one, key) is None:
                raise UserError(f"{place} has a difference without {key!r}: {own}")
        refuse_unknown(f"table of a difference in {place}", [one.table], tables)
        if one.kind == "table":
            one = _with_members(one, file)
        differences.append(_with_settings(one, file, declared.claim) if one.kind == SIMULATION else one)
    return replace(declared, differences=differences)


def _with_members(one: DifferenceSpec, file: Path) -> DifferenceSpec:
    """A difference of arms by name, or of members at their best rates. A scale may have fewer members."""
    given = {key: getattr(one, key) for key in ("arm", "minus")}
    best = {key: strictly(BestRate, arm, file) for key, arm in given.items() if isinstance(arm, dict)}
    if best:
        layout = read_layout(file.parents[1] / f"{one.table}.yaml")
        at_rates = (layout.get("rates") or {}).get("arms", [])
        members = {
            arm.get("member") or arm.get("label") or arm["name"]
            for arm in layout.get("arms", [])
            if arm.get("member") or arm["name"] in at_rates
        }
        refuse_unknown(f"member of table {one.table}", (arm.member for arm in best.values()), members)
    return replace(one, **best)


def _with_settings(one: DifferenceSpec, file: Path, claim: str) -> DifferenceSpec:
    """A difference of the simulation, its arms as settings."""
    given = {"arm": one.arm, "minus": one.minus}
    return replace(
        one, **{key: strictly(SimulatedArm, arm, file, f"{key} in {claim!r}") for key, arm in given.items()}
    )
