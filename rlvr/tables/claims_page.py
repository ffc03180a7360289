"""The page of a paper's claims, as Markdown: `results/<paper>.md`, or `-<scale>` where that is not laptop."""

from collections import Counter
from collections.abc import Sequence
from math import isfinite
from pathlib import Path

from rlvr.errors import refuse_unknown
from rlvr.files.atomic import write_whole
from rlvr.tables.claims import NOT_RUN, NOT_SHOWN, Difference, Finding, findings
from rlvr.tables.claims_file import SIMULATION, TOY_TREE, read_claims
from rlvr.tables.names import CLAIMS, papers
from rlvr.tables.spec import numbers_file, table_stem

HOW_TO_READ = """\
Each claim says that one or more differences are above zero. It is *shown* if the 95 % interval of every one
of them lies above zero, and *opposite* if the interval of one lies below. It is *less than claimed* if the
paper names a factor, such as twice as fast, and the interval leaves out that factor but not a smaller
effect. Otherwise it is *not shown*, which is no proof that there is no effect. Where a paper says *no
worse*, the page tests *better*, so that *not shown* does not speak against the paper. When a claim was
declared, as it stands here, and when the first of its data came, are read from git: one declared after its
data may have been chosen by them, and its verdict confirms nothing. Intervals of tables are bootstrapped
over problems and training seeds, those of simulations are Welch's over seeds, those of savings Student's t
over seeds on logarithms. They know nothing of what all seeds share: the initial weights, the training and
test problems, a profile. With two to four seeds each is rough, and with one seed of a trained arm nothing
is shown."""


HOLM = """\
Intervals are Holm's (1979): all differences of this page are one family, those not run too, and the chance
that any interval of a difference that is truly zero lies off zero is at most 5 %. The standard error is
that of the bootstrap over problems and seeds, with Student's t on Welch and Satterthwaite's degrees of
freedom: those of the seeds of either arm and those of the problems, each as far as it makes the variance."""


def write_claims(
    names: Sequence[str], scale: str, results: Path, experiments: Path
) -> dict[Path, dict[str, int]]:
    """Write the pages of some papers' claims: all, or where one can't be made none.

    Args:
        names: none: of all papers whose claims are asked at this scale.

    Returns:
        {page: {verdict: claims that have it}}.

    Raises:
        UserError: for a paper without claims, or none at this scale, or claims about what there is not.
    """
    names = names or [paper for paper in papers(experiments) if is_asked(experiments / paper / CLAIMS, scale)]
    pages = [page_of(paper, scale, results, experiments) for paper in names]
    for page, text, _ in pages:
        write_whole(page, text)
    return {page: dict(Counter(finding.verdict for finding in found)) for page, _, found in pages}


def is_asked(claims: Path, scale: str) -> bool:
    """Whether a file of claims is about tables at a scale."""
    scales = read_claims(claims).scales
    return not scales or scale in scales


def page_of(paper: str, scale: str, results: Path, experiments: Path) -> tuple[Path, str, list[Finding]]:
    """Where the page of a paper goes, its text, and what it says."""
    refuse_unknown("paper with claims", [paper], papers(experiments))
    declared = experiments / paper / CLAIMS
    file = read_claims(declared)
    refuse_unknown(f"scale of the claims in {declared}", [scale], file.scales or [scale])
    found = findings(declared, scale, results)
    page = results / f"{paper}{'' if scale == 'laptop' else '-' + scale}.md"
    drawn = [stem for stem in file.figures if (results / "figures" / f"{stem}.png").exists()]
    text = markdown(file.paper, paper, scale, found, file.left_out, correction=file.correction, figures=drawn)
    return page, text, found


def markdown(
    title: str,
    paper: str,
    scale: str,
    found: list[Finding],
    left_out: Sequence[str] = (),
    *,
    correction: str | None = None,
    figures: Sequence[str] = (),
) -> str:
    """The whole page. The same numbers give the same bytes.

    Args:
        left_out: what the paper claims too, and why no difference here tries it.
        correction: that the intervals have; where there is one the page says in a paragraph what to do.
        figures: stems of those that it shows.
    """
    measured = (item for finding in found for item in finding.differences if isfinite(item.low))
    intervals = len({item.identity for item in measured})
    chance = (
        f"This page has {intervals} interval{'s' if intervals != 1 else ''}, each a plain one of 95 %: if "
        f"all true differences were zero, {0.05 * intervals:.1f} would exclude zero by chance, half of them "
        "on the claimed side; with two or three seeds it may be more. The column *all together* has the "
        "verdicts by Holm's test (1979) of all of them, by the normal distribution: the chance that any "
        "difference that is truly zero is called something else there is at most 5 %."
    )
    if correction:
        chance = HOLM
    remake = (
        f"Made by `rlvr claims paper={paper} scale={scale}` from the files named below and "
        f"experiments/{paper}/{CLAIMS}; no run is needed for it."
    )
    heads = ["claim", "verdict", *([] if correction else ["all together"]), "declared"]
    overview = ["| | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for number, item in enumerate(found, start=1):
        verdicts = [item.verdict, *([] if correction else [item.corrected])]
        declared = item.declared.word if item.declared else ""
        overview.append("| " + " | ".join([str(number), item.claim, *verdicts, declared]) + " |")
    blocks = [f"# What is claimed, and what is measured here: {title}", f"Scale: {scale}. {remake}"]
    blocks += [HOW_TO_READ, chance, "\n".join(overview)]
    blocks += [summary(found)] if correction else []
    blocks += [f"![{stem}](figures/{stem}.png)" for stem in figures]
    blocks += [_section(number, item, scale) for number, item in enumerate(found, start=1)]
    if left_out:
        blocks += ["## Left out", "\n".join(f"- {sentence}" for sentence in left_out)]
    return "\n\n".join(blocks) + "\n"


def summary(found: list[Finding]) -> str:
    """One paragraph to act on; that there is none as long as a claim has not run."""
    by_verdict: dict[str, list[str]] = {}
    for item in found:
        by_verdict.setdefault(item.verdict, []).append(item.claim)
    if pending := by_verdict.get(NOT_RUN):
        return (
            f"**The run is pending**: {len(pending)} of {len(found)} claims have not run. Until they have, "
            "this page does not say which weighting to use."
        )
    told = [
        f"*{verdict}*: {'; '.join(claims)}" for verdict, claims in by_verdict.items() if verdict != NOT_SHOWN
    ]
    if not told:
        return "**To act on**: no claim is shown, so nothing here speaks against plain GRPO at its best rate."
    return (
        f"**To act on**: {'. '.join(told)}. Of all others nothing is shown, at this scale and on these tasks."
    )


def _section(number: int, finding: Finding, scale: str) -> str:
    source = finding.source + ("" if finding.source.endswith("?") else ".")
    blocks = [f"## {number}. {finding.claim}", f"{source} **{finding.verdict.capitalize()}.**"]
    if finding.declared:
        blocks[-1] += f" {finding.declared}"
    if finding.untestable:
        blocks[-1] += f" {finding.untestable}"
        return "\n\n".join(blocks)
    rows = [
        "| claimed to be above zero | measured | 95 % interval | seeds |",
        "|---|---|---|---|",
        *map(_row, finding.differences),
    ]
    blocks.append("\n".join(rows))
    blocks.append(" ".join(_origin(table, finding, scale) for table in finding.tables))
    return "\n\n".join(blocks)


def _origin(table: str, finding: Finding, scale: str) -> str:
    """The files that a claim's numbers come from, and the command that makes them."""
    if table == SIMULATION:
        return "From [theory/categorical.npz](theory/categorical.npz): `rlvr simulate`."
    if table == TOY_TREE:
        return "From [theory/toy_tree.csv](theory/toy_tree.csv): `rlvr simulate what=toy_tree`."
    of_table = [item for item in finding.differences if item.table == table]
    seeds = {seed for item in of_table for seeds in item.seeds for seed in seeds.split()}
    command = f"make reproduce-table TABLE={table} SCALE={scale}"
    if not seeds:
        return f"To be made by `{command}`."
    command += f" SEEDS={','.join(sorted(seeds, key=int))}"
    kinds = dict.fromkeys("savings" if item.unit == "times" else "differences" for item in of_table)
    files = [f"tables/{numbers_file(table, scale, kind)}" for kind in kinds]
    links = " and ".join(f"[{file}]({file})" for file in files)
    return f"From {links}, beside [the table](tables/{table_stem(table, scale)}.md): `{command}`."


def _row(difference: Difference) -> str:
    if not difference.has_run:
        return f"| {difference.text} | {NOT_RUN} | | |"
    digits = 1 if difference.unit == "points" else 3
    value = f"{difference.value:+z.{digits}f}".replace("-", "−")
    low, high = (  # a bound below zero says so where it rounds to zero too: the verdict hangs on it
        f"{bound + 0.0:+.{digits}f}".replace("-", "−") for bound in (difference.low, difference.high)
    )
    measured = f"{value} {difference.unit}" if isfinite(difference.value) else "not reached"
    interval = f"{low} to {high}" if isfinite(difference.low) else "none"
    counts = " and ".join(str(len(seeds.split())) for seeds in difference.seeds)
    return f"| {difference.text} | {measured} | {interval} | {counts} |"
