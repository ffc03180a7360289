"""When a claim was declared, against a history made by hand."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from rlvr.tables.declared import FOLDER, Declaration, declarations

FIRST, SECOND = "first things first", "second thoughts"
ARMS = "arm,value\na,1\nb,2\n"


def claims(*texts: str, metric: str = "pass@1") -> str:
    lines = ["paper: One", "claims:"]
    for text in texts:
        lines += [f"  - claim: {text}", "    table: one/table1", f"    metric: {metric}"]
        lines += ["    group: in_domain", "    differences: [{arm: b, minus: a}]"]
    return "\n".join(lines) + "\n"


class History:
    """A repository whose commits are an hour apart, at 08:00, 09:00, ... UTC."""

    def __init__(self, folder: Path):
        self.folder, self.hour = folder, 8
        self.file, self.results = folder / "experiments" / "one" / "claims.yaml", folder / "results"
        self.file.parent.mkdir(parents=True)
        (self.results / "tables").mkdir(parents=True)
        self.git("init", "-q")

    def git(self, *arguments: str) -> str:
        time = f"2026-01-02T{self.hour:02}:00:00+00:00"
        person = {
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "n"), ("EMAIL", "e@x"), ("DATE", time))
        }
        command = ["git", "-C", str(self.folder), *arguments]
        done = subprocess.run(command, env=os.environ | person, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, **files: str) -> str:
        for name, content in files.items():
            path = self.file if name == "claims" else self.results / "tables" / f"one-{name}-laptop.csv"
            path.write_text(content)
        self.git("add", "-A")
        self.git("commit", "-qm", "x")
        self.hour += 1
        return self.git("rev-parse", "--short=7", "HEAD")


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path)


def test_a_claim_is_dated_by_the_commit_in_which_it_stands_as_now(history: History):
    history.commit(claims=claims(FIRST, metric="pass@256"))
    changed = history.commit(claims=claims(FIRST))  # at 09:00: another difference under the same words
    data = history.commit(table1=ARMS)
    later = history.commit(claims=claims(SECOND, FIRST), table2=ARMS)

    found = declarations(history.file, "laptop", history.results)
    assert found[FIRST] == Declaration(changed, "2026-01-02 09:00", data, "2026-01-02 10:00")
    assert found[FIRST].before_data
    assert found[SECOND] == Declaration(later, "2026-01-02 11:00", data, "2026-01-02 10:00")
    assert not found[SECOND].before_data
    assert "**after** the first of its data, 2026-01-02 10:00" in str(found[SECOND])


def test_the_data_of_a_claim_are_those_of_its_arms(history: History):
    history.commit(table1="arm,value\na,1\nb-half,2\n")  # another arm, whose name begins alike
    declared = history.commit(claims=claims(FIRST))
    data = history.commit(table1="arm,value\na,1\nb-half,2\nb,3\n")
    found = declarations(history.file, "laptop", history.results)[FIRST]
    assert found == Declaration(declared, "2026-01-02 09:00", data, "2026-01-02 10:00")


def test_the_data_of_members_at_their_best_rates_are_in_the_file_of_rates(history: History):
    members = "{arm: {member: F γ=1, by: pass@1}, minus: {member: G, by: pass@1}}"
    history.commit(claims=claims(FIRST).replace("{arm: b, minus: a}", members), table1=ARMS)
    (rates := history.results / "tables" / "one-table1-laptop-rates.csv").write_text("member,arm\nG,a\n")
    history.commit()
    rates.write_text("member,arm\nG,a\nF γ=1,b\n")
    data = history.commit()
    found = declarations(history.file, "laptop", history.results)[FIRST]
    assert (found.data_commit, found.before_data) == (data, True)


def test_a_claim_that_came_with_its_data_was_not_before_them(history: History):
    history.commit(claims=claims(FIRST), table1=ARMS)
    found = declarations(history.file, "laptop", history.results)[FIRST]
    assert not found.before_data
    assert "in the commit that brought its data" in str(found)


def test_what_has_not_been_committed_is_said(history: History):
    history.commit(claims=claims(FIRST))
    history.file.write_text(claims(FIRST, SECOND))
    found = declarations(history.file, "laptop", history.results)
    assert found[SECOND].word == "not committed"
    assert str(found[FIRST]).endswith("no data of it was committed.")


def test_a_copy_without_a_history_has_the_dates_from_the_file(history: History):
    history.commit(claims=claims(FIRST), table1=ARMS)
    found = declarations(history.file, "laptop", history.results)
    shutil.rmtree(history.folder / ".git")
    assert declarations(history.file, "laptop", history.results) == found
    shutil.rmtree(history.results / FOLDER)
    assert declarations(history.file, "laptop", history.results) == {}


def test_of_results_elsewhere_git_does_not_say_that_there_were_none(history: History, tmp_path_factory):
    """They are as in the repository, where they came before the claim; their own file of dates knows it."""
    history.commit(table1=ARMS)
    history.commit(claims=claims(FIRST))
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "results"
    shutil.copytree(history.results, elsewhere)
    assert declarations(history.file, "laptop", elsewhere) == {}
    found = declarations(history.file, "laptop", history.results)
    shutil.copytree(history.results, elsewhere, dirs_exist_ok=True)
    assert declarations(history.file, "laptop", elsewhere) == found
    assert not found[FIRST].before_data
