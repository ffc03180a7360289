import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from rlvr.cli import main as cli
from rlvr.cli.arguments import read
from rlvr.cli.doctor import findings
from rlvr.config import Config, load_config
from rlvr.errors import nearest
from rlvr.runs.evaluation_config import overrides_of_evaluation


def fails_with(capsys: pytest.CaptureFixture, *arguments: str) -> str:
    """The one sentence a wrong command gets."""
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    sentence = capsys.readouterr().err
    assert stopped.value.code == 2
    assert sentence.count("\n") == 1
    return sentence


def test_help_names_every_verb(capsys: pytest.CaptureFixture):
    cli.main(["--help"])
    text = capsys.readouterr().out
    for verb in ("reproduce", "train", "evaluate", "warm-start", "doctor"):
        assert f"rlvr {verb}" in text


@pytest.mark.parametrize("verb", sorted(cli.VERBS))
def test_every_verb_explains_itself_with_an_example(verb: str, capsys: pytest.CaptureFixture):
    cli.main([verb, "--help"])
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.endswith((".", ":")) or rest[0].endswith(".")
    assert any(line.strip().startswith((f"rlvr {verb}", f'eval "$(rlvr {verb}')) for line in rest)


SLOW = {"torch", "transformers", "pandas", "datasets", "scipy"}


@pytest.mark.parametrize(
    "command",
    [
        *["--help", "train --help", "warm-start --help", "bench --help", "plan --help", "trian"],
        *["reproduce table=fgrpo/tabel1", "reproduce table=fgrpo/table1 scale=papre", "plan table=x"],
        *["train algoritm=x", "train algorithm=grop", "train training.stepss=2", "train -m algorithm=grop,x"],
        *["claims paper=x", "select method=lim run=nowhere", "evaluate run=nowhere", "report nowhere"],
        *["train --cfg job", "plan algorithm=grop", "profile model=x", "completion --line rlvr"],
    ],
)
def test_help_and_errors_need_nothing_slow(command: str):
    code = f"""
import sys
from rlvr.cli.main import main
try:
    main({command.split()!r})
except SystemExit as stopped:
    assert stopped.code == 2
    print(stopped.code)
assert not {SLOW!r} & sys.modules.keys(), {SLOW!r} & sys.modules.keys()
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    wrong = not {"--help", "--cfg", "--line"} & set(command.split())
    assert done.stdout.endswith("2\n") == wrong


@pytest.mark.parametrize(
    ("command", "unread"),
    [
        *(("--help", 1), ("train --cfg job", 1), ("trian", 2), ("train --cfg job trian=1", 2)),
        pytest.param("doctor", 1, marks=pytest.mark.slow),
    ],
)
def test_output_that_nobody_reads_ends_a_command_without_a_word(command: str, unread: int):
    """As `| head` does: the pipe's other end is closed before anything is written."""
    end, pipe = os.pipe()
    os.close(end)
    streams = {"stdout": pipe, "stderr": subprocess.PIPE if unread == 1 else pipe}
    done = subprocess.run([sys.executable, "-m", "rlvr", *command.split()], check=False, **streams)
    os.close(pipe)
    assert not done.stderr
    assert done.returncode == (1 if command == "doctor" else 141)  # rich's own way out; 128 + SIGPIPE


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["report", "x" * 300], r"x{300}: File name too long; choose another place"),
        (["export", "run", "a\0b"], "has a NUL"),
        (["watch", "loop"], "loop is no folder|Too many levels"),
        (["export", "run", "a/file/x"], r"a/file/x can't be made a folder \(Not a directory\)"),
        (["export", "run", "/proc/x"], r"/proc/x can't be made a folder \(No such file or directory\)"),
        (["train", "scale=smoke", "runs=/proc/x"], r"/proc/x\S* can't be made a folder"),
        (["train", "scale=smoke", f"runs={'x' * 300}"], "File name too long"),
    ],
)
def test_a_place_that_cannot_be_is_a_sentence(
    command: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a/file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.yaml").write_text("")
    assert re.search(said, fails_with(capsys, *command))


def test_the_end_of_another_pipe_is_not_that_of_the_output(monkeypatch: pytest.MonkeyPatch):
    end, pipe = os.pipe()
    os.close(end)
    monkeypatch.setattr(cli, "run_verb", lambda arguments: os.write(pipe, b"x"))
    with pytest.raises(BrokenPipeError), open(os.devnull, "w") as nowhere:
        monkeypatch.setattr(sys, "stdout", nowhere)
        monkeypatch.setattr(sys, "stderr", nowhere)
        cli.main([])
    os.close(pipe)


def test_a_tables_file_is_read_without_torch():
    code = (
        "import sys; from rlvr.config import EXPERIMENTS; from rlvr.tables.read_spec import read_spec; "
        "read_spec(EXPERIMENTS / 'fgrpo/table1.yaml', 'laptop'); "
        "from rlvr.tables.names import tables; assert 'fgrpo/table1' in tables(); "
        "sys.exit(bool({'torch', 'pandas'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_wrong_commands(capsys: pytest.CaptureFixture):
    assert "did you mean train?" in fails_with(capsys, "trian")
    assert "did you mean fgrpo/table1?" in fails_with(capsys, "reproduce", "table=fgrpo/tabel1")
    assert "seeds=a: accepted are whole numbers with commas between them, as in seeds=1,2,3" in fails_with(
        capsys, "reproduce", "table=fgrpo/table1", "seeds=a"
    )
    assert "did you mean grpo?" in fails_with(capsys, "train", "algorithm=grop")
    assert "did you mean grpo?" in fails_with(capsys, "train", "-m", "algorithm=grop,dapo", "seed=1,2")
    assert "give them different" in fails_with(capsys, "train", "-m", "arm=same", "algorithm=grpo,dapo")
    assert "is not a run directory" in fails_with(capsys, "evaluate", "run=nowhere")
    assert "n=many: accepted is a whole number from 1 on, as in n=64" in fails_with(
        capsys, "evaluate", "n=many"
    )
    assert "did you mean steps?" in fails_with(capsys, "warm-start", "stepps=3")
    assert "steps=many: accepted is a whole number from 1 on, as in steps=1" in fails_with(
        capsys, "warm-start", "steps=many"
    )
    assert "reproduce needs table=, as in table=fgrpo/table1" in fails_with(capsys, "reproduce")
    assert "'all' is neither a key with its value nor a flag of doctor" in fails_with(capsys, "doctor", "all")
    assert "unknown scale 'papre'" in fails_with(capsys, "claims", "scale=papre")
    assert "evaluate needs a run or a model" in fails_with(capsys, "evaluate", "scale=smoke")
    assert "did you mean fish?" in fails_with(capsys, "completion", "fsh")


def test_a_name_of_an_option_is_no_choice_and_a_list_is_asked_for(capsys: pytest.CaptureFixture):
    """algorithm.name=dapo trained GRPO under the name dapo, and tracking.name=local went on to W&B."""
    for given, choice in (
        ("algorithm.name=dapo", "algorithm=dapo"),
        ("+tracking.name=local", "tracking=local"),
    ):
        assert f"{given}: that is what an option is called; choose it with {choice}\n" in (
            fails_with(capsys, "train", given)
        )
    assert "evaluation.k: accepted is a list, as in evaluation.k=[...]" in (
        fails_with(capsys, "train", "--cfg", "evaluation.k=4")
    )


def test_a_model_is_evaluated_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture):
    settings = ["tracking=local", "benchmark.tasks.gcd.size=6", f"runs={tmp_path}"]
    cli.main(["evaluate", "model=embedded", "benchmark=gcd", "n=3", *settings])
    lines = capsys.readouterr().out.splitlines()
    (file,) = tmp_path.rglob("gcd.parquet")
    samples = pq.read_table(file).to_pandas()
    right = (samples["verdict"] == "correct").groupby(samples["problem_id"]).sum()
    assert len(samples) == 18
    pass_at_k, verdicts = (
        lines.index(line) for line in lines if line.split(",")[0] in ("pass@k", "verdicts")
    )
    assert lines[pass_at_k].split()[-2:] == ["1", "2"]
    assert lines[pass_at_k + 1].split()[1].startswith(f"{100 * right.mean() / 3:.1f}±")
    judged = samples["verdict"].value_counts(normalize=True)
    shares = dict(zip(lines[verdicts].split()[3:], map(float, lines[verdicts + 1].split()[2:]), strict=True))
    assert shares == {name: round(100 * share, 1) for name, share in judged.items()}
    assert lines[verdicts + 1].split()[:2] == ["gcd", "6"]
    assert f"{samples['num_tokens'].sum()} tokens sampled" in " ".join(" ".join(lines).split())


def test_a_language_model_is_evaluated_at_the_length_its_config_says():
    asked = ["model=smollm2-135m", "benchmark=math_offline"]

    def composed(*overrides: str) -> Config:
        return load_config(overrides_of_evaluation(overrides, n=48, config_name="config"))

    config = composed(*asked)
    assert (config.scale.name, config.rollout.max_rows) == ("small", 256)
    assert config.adapter.name == "none"  # the scale's own is for training
    assert (config.evaluation.samples, config.evaluation.k) == (48, [1, 2, 4, 8, 16, 32])
    assert config.evaluation.sampling.max_tokens == config.model.max_completion_tokens == 256
    assert composed(*asked, "scale=laptop").evaluation.sampling.max_tokens == 16
    assert composed("model=embedded").scale.name == "laptop"


def test_a_model_is_not_trained_by_an_evaluation(capsys: pytest.CaptureFixture):
    said = fails_with(capsys, "evaluate", "model=embedded", "n=2", "training.steps=5")
    assert "training.steps=5 without run=: `rlvr evaluate` takes a model as it is" in said


def test_the_config_can_be_printed(capsys: pytest.CaptureFixture):
    cli.main(["train", "--cfg", "algorithm=cispo", "seed=7"])
    printed = capsys.readouterr().out
    assert "seed: 7" in printed
    assert "is_weight_max: 6.0" in printed


def test_the_doctors_commands_keep_their_extras(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    """Rich would take [vllm] for markup."""
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr(
        "rlvr.cli.doctor.findings", lambda: [("vLLM", False, "[/x]", "pip install 'rlvr[vllm]'")]
    )
    cli.main(["doctor"])
    printed = capsys.readouterr().out
    assert "vLLM: pip install 'rlvr[vllm]'\n" in printed  # in one piece, however narrow the terminal is
    assert "[/x]" in printed
    name, *words = printed.splitlines()[-1].split()[1:]
    verb = cli.VERBS[name]
    load_config(read(verb, words).overrides)  # what to do next works


def test_the_doctor_gives_advice_for_every_lack():
    for what, fine, found, advice in findings():
        assert found, what
        assert fine or advice, what


def test_the_doctor_names_commands_of_what_is_installed():
    found = {what: (text, advice) for what, _, text, advice in findings()}
    assert re.fullmatch(r"\d+\.\d of \d+\.\d GiB free", found["memory"][0])
    assert found["attention"][0]
    # of a clone, with an extra that it has
    (folder, extra) = re.search(r"pip install -e '(.+)\[(\w+)\]'", found["vLLM"][1]).groups()
    extras = tomllib.loads((Path(folder) / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extra in extras


def test_no_suggestion_is_better_than_a_wild_one():
    assert nearest("xyzzy", ["train", "evaluate"]) == ""
