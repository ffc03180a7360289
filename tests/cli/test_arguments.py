"""The reader of command lines, on a verb of its own and by what the verbs of rlvr make of odd words."""

from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from rlvr.cli.arguments import Verb, flag, given_of, help_of, key, optional_keys, read, word
from rlvr.cli.main import VERBS, main
from rlvr.errors import UserError
from rlvr.policy.recipes import RECIPES, WarmStart
from rlvr.runs.select import METHODS
from rlvr.tables.assumptions import Assumptions


@dataclass(kw_only=True)
class Keys:
    folder: Path = word("folder", "where")
    method: str = key("how", choices=("lim", "linear"), example="lim")
    steps: int = key("how long", 3, least=1)
    rate: float | None = key("how fast", None, above=0)
    seeds: list[int] = key("of what", (), example="1,2")
    once: bool = flag("--once", help="not again")
    show: str | None = flag("--show", "-s", help="what", value="a|b", choices=("a", "b"), bare="a")


def run(keys: Keys) -> None:
    """Do something.

    rlvr something here method=lim
    """


VERB = Verb("something", run, Keys)


def test_every_kind_of_word_is_read():
    keys = read(VERB, ["here", "method=lim", "rate=1e-3", "seeds=4,5", "--once", "-s", "b", "steps=7"])
    assert keys == Keys(
        folder=Path("here"), method="lim", steps=7, rate=0.001, seeds=[4, 5], once=True, show="b"
    )


def test_what_is_left_out_has_its_default():
    keys = read(VERB, ["method=linear", "here"])
    assert (keys.steps, keys.rate, keys.seeds, keys.once, keys.show) == (3, None, (), False, None)


def test_of_what_is_given_twice_the_last_counts():
    """As Hydra has it: scripts append their overrides to a command that has some."""
    keys = read(VERB, ["x", "method=lim", "steps=1", "-s", "b", "method=linear", "steps=2", "--show=a"])
    assert (keys.method, keys.steps, keys.show) == ("linear", 2, "a")
    overrides = ["seed=1", "algorithm=grpo", "++seed=2", "algorithm=dapo", "seed=3"]
    assert read(VERBS["train"], overrides).overrides == ["algorithm=dapo", "seed=3"]


def test_a_key_with_dots_is_no_folder():
    keys = read(VERBS["table"], ["results/runs/adhoc", "group_size.n=4,8", "x=n"])
    assert (keys.path, keys.overrides, keys.x) == (Path("results/runs/adhoc"), ["group_size.n=4,8"], "n")


def test_a_flag_without_its_word_means_what_it_says():
    assert read(VERB, ["x", "--show", "method=lim"]).show == "a"
    assert read(VERB, ["x", "method=lim", "--show"]).show == "a"
    assert read(VERB, ["x", "method=lim", "--show=b"]).show == "b"
    assert read(VERB, ["x", "--show", "b", "method=lim"]).show == "b"


def test_a_path_may_hold_an_equals_sign(tmp_path: Path):
    (tmp_path / "gamma=1").mkdir()
    keys = read(VERB, [str(tmp_path / "gamma=1"), "method=lim"])
    assert keys.folder == tmp_path / "gamma=1"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("x", "something needs method=, as in method=lim; there are lim, linear"),
        ("method=lim", "something needs a folder: write `rlvr something <folder>`"),
        ("x y method=lim", "'y' is one too many: write `rlvr something <folder>`"),
        ("x method=lin", "unknown method 'lin': accepted are lim, linear; did you mean linear?"),
        ("x method=lim steps=0", "steps=0: accepted is a whole number from 1 on, as in steps=1"),
        ("x method=lim steps=1.5", "steps=1.5: accepted is a whole number from 1 on, as in steps=1"),
        ("x method=lim rate=0", "rate=0: accepted is a number above 0, as in rate=0.5"),
        ("x method=lim rate=nan", "rate=nan: accepted is a number above 0, as in rate=0.5"),
        ("x method=lim rate=inf", "rate=inf: accepted is a number above 0, as in rate=0.5"),
        ("x method=lim seeds=1,b",
         "seeds=1,b: accepted are whole numbers with commas between them, as in seeds=1,2"),
        ("x method=lim steps=", "steps= has no value: write steps=..."),
        ("x method=", "method= has no value: write method=lim"),
        ("x =y", "'=y' has no key: write key=value"),
        ("x stepps=3",
         "unknown key of something 'stepps': accepted are --once, --show, -s, method, rate, seeds, steps; "
         "did you mean steps?"),
        ("x --onc",
         "unknown flag of something '--onc': accepted are --help, --once, --show, -s; did you mean --once?"),
        ("x --steps", "unknown flag '--steps': write steps=..., as all keys are given"),
        ("x --once=1", "'--once=1': --once takes no value"),
        ("x --show c", "unknown value of --show 'c': accepted are a, b"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence(words: str, sentence: str):
    with pytest.raises(UserError) as error:
        read(VERB, words.split())
    assert str(error.value) == sentence


def test_help_has_a_line_for_everything_that_is_read():
    assert help_of(VERB) == (
        "Do something.\n"
        "\n"
        "rlvr something here method=lim\n"
        "\n"
        "Keys:\n"
        "  <folder>           where\n"
        "  method=lim|linear  how\n"
        "  steps=<n>          how long [3]\n"
        "  rate=<number>      how fast\n"
        "  seeds=<n>,...      of what\n"
        "\n"
        "Flags:\n"
        "  --once            not again\n"
        "  --show, -s [a|b]  what"
    )


def test_settings_become_keys_that_may_be_left_out():
    assumed = Verb("plan", run, optional_keys("Keys", Assumptions))
    assert given_of(read(assumed, ["gpus=8", "peak_tflops=312"]), Assumptions) == {
        "gpus": 8,
        "peak_tflops": 312.0,
    }
    assert "gpus=<n>                 GPUs that share a run [16]" in help_of(assumed)


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_every_key_of_every_verb_has_help(verb: Verb):
    text = help_of(verb)
    for item in fields(verb.keys):
        if item.name != "overrides":
            assert len(item.metadata["help"]) > 5, item.name
    for name in verb.fields("key"):
        assert f"\n  {name}=" in text


def test_the_command_line_offers_what_there_is():
    assert VERBS["select"].fields("key")["method"].metadata["choices"] == METHODS
    text = help_of(VERBS["warm-start"])
    assert "policy=" + "|".join(RECIPES) in text
    assert all(f"\n  {item.name}=" in text for item in fields(WarmStart))


TRAIN = {
    "foo": "'foo' is neither a key with its value nor a flag of train: write key=value, as in seed=2",
    "seed=": "seed= has no value: write seed=..., or seed=null for none",
    "=x": "'=x' has no key: write key=value, as in seed=2",
    "séed=1": "did you mean seed?",
    "experiment=ünï": "Hydra takes this value in quotes of its own only: write \"experiment='ünï'\"",
    "data.path=a=b.jsonl": "write \"data.path='a=b.jsonl'\"",
    "arm=~/x": 'only the shell knows a home by ~; write arm="$HOME/x"',
    "runs=~nobody-of-that-name/x": "no home folder is known for ~nobody-of-that-name; write it out",
    "--unknown": "unknown flag of train '--unknown'",
    "--seed": "unknown flag '--seed': write seed=..., as all keys are given",
    "algoritm=x": "did you mean algorithm?",
    "stop_after_minute=3": "did you mean stop_after_minutes?",
    "stop_after_minutes=x": "stop_after_minutes=x: accepted is a number above 0, as in stop_after_minutes=10",
    "group_size=8": "accepted are fixed, inverse_success; did you mean group_size.n=8?",
    "-m group_size=4,8": "did you mean group_size.n=4,8?",
    "scale=smoke advantage_scaling.gamma=1": "accepted are name; gamma is a key of advantage_scaling=focal",
    "training.lr=1e-3": "; did you mean learning_rate?",
    "lr=1e-3": "did you mean training.learning_rate=1e-3?",
    "gamma=1": "did you mean advantage_scaling.gamma=1?",
    "path=x.jsonl": "did you mean data.path=x.jsonl or model.path=x.jsonl",
    "data=questions.jsonl": "did you mean data=jsonl data.path=questions.jsonl?",
    "model=org/name-1.5B": "unknown model 'org/name-1.5B': accepted are deepseek",
    "model=org/name": "did you mean model=local model.path=org/name?",
    "model=/no/model": "did you mean model=local model.path=/no/model?",
    "algorithm=f-grpo": "did you mean algorithm=grpo advantage_scaling=focal?",
    "algorithm=lambda-grpo": "did you mean algorithm=grpo credit=process_lambda?",
    "algorithm=sgpo": "did you mean curriculum=sgpo group_size=inverse_success?",
    "advantage_scaling=my.py:f": "one of your own is a plug-in: docs/how-to/add-an-algorithm.md",
    "advantage_scaling=hardlog": "; one of a plug-in is there once its package is installed in this env",
    "loss_type=dr_grpo": "'loss_type': did you mean algorithm.aggregation=constant_length? Accepted are",
    "algorithm.loss_type=grpo": "'loss_type': did you mean algorithm.aggregation=sequence_mean? Accepted",
    "loss_type=bnpo": "did you mean algorithm.aggregation=token_mean?",
    "loss_type=luspo": "did you mean algorithm.aggregation?",
    "actor.loss_agg_mode='seq-mean-token-sum-norm'": "did you mean algorithm.aggregation=constant_length?",
    "num_generations=16": "did you mean group_size.n?",
    "rollout.n=16": "did you mean group_size.n?",
    "beta=0.1": "did you mean algorithm.kl_coefficient?",
    "algorithm.epsilon=0.2": "did you mean algorithm.clip_low?",
    "actor.kl_loss_coef=0.1": "did you mean algorithm.kl_coefficient?",
    "actor_rollout_ref.rollout.n=16": "did you mean group_size.n?",
    "actor_rollout_ref.rollout.val_kwargs.n=8": "did you mean evaluation.validation_samples?",
    "data.train_files=x.parquet": "did you mean data=verl data.path?",
    "evaluation.temperature=0": "did you mean evaluation.sampling.temperature?",
    "per_device_train_batch_size=8": "did you mean training.mini_batch_prompts, in prompts?",
    "verifier=matth": "unknown data.verifier 'matth': accepted are expression, ",
    "benchmark.tasks.gcd.parameters.verifier=mth": "unknown benchmark.tasks.gcd.parameters.verifier 'mth'",
    "scale=paper data=jsonl data.path=x.jsonl": "give data.size=<problems of the data>, or training.steps=",
    "hydra.sweeper=optuna": "a config group has a slash; did you mean hydra/sweeper=optuna?",
    "hydra.run.dir=out": "hydra.run.dir=out: a run's folder is <runs>/<experiment>/<arm>/seed-<seed>",
    "algorithm=[maxrl,dapo]": "accepted is one option, since Hydra lays several over each other; a sweep",
    "-m credit=[outcome],outcome": "credit=[outcome],outcome: accepted is one option",
    "data=[]": "data=mixture has no parts: accepted are data sets, as data=[countdown,arithmetic]",
    "data=[gsm8k,gsm9k]": "did you mean gsm8k?",
    "data=[gsm8k,limr] data.size=7": "data.size with data=mixture: accepted is data.parts.<name>.size, of",
    "data=[gsm8k,limr] data.parts.gsmk.size=7": "part of data.parts 'gsmk': accepted are gsm8k, limr; did",
    "data=[gsm8k,limr] data.parts.limr.verifier=mth": "unknown data.parts.limr.verifier 'mth'",
    "data=gsm8k +data@data.parts.limr=limr": "parts limr, which only a mixture has: accepted is data=[limr]",
    "data.parameters.verifiers.a=math": "without fields.verifier, the field whose values it names: accepted",
    "data.parameters.fields.verifier=a verifier=math": "accepted is one of the two, the first for all rows",
    "advantage_scaling=0.5": "did you mean advantage_scaling.gamma=0.5?",
    "arm=\x1b[2J": "'arm=\\x1b[2J': Hydra takes this value in quotes of its own only: write \"arm='·[2J'\"",
    "--\x1b[2J": "unknown flag of train '--\\x1b[2J'",
}


@pytest.mark.parametrize("words", TRAIN)
def test_slips_of_a_training_command(words: str, capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit):
        main(["train", *words.split()])
    said = capsys.readouterr().err
    assert TRAIN[words] in said
    assert said.count("\n") == 1
    assert said.removesuffix("\n").isprintable()


OTHERS = {
    "evaluate": "evaluate needs a run or a model, as in run=results/runs/... or model=embedded",
    "evaluate n=4": "evaluate needs a run or a model, as in run=results/runs/... or model=embedded",
    "claims scale=papre": "unknown scale 'papre': accepted are gpu, laptop, paper, small, smoke; did you",
    "table": "table needs a folder: write `rlvr table <folder>`",
    "table nowhere": "nowhere is no folder: accepted is a run's or one above runs, as in results/runs/adhoc",
    "table . series": "'series' is one too many: write `rlvr table <folder>`",
    "watch .": ". is not a run directory and holds none",
    "report .": ". holds no run: accepted are a run's folder (with config.yaml) and folders above runs",
}


@pytest.mark.parametrize("words", OTHERS)
def test_slips_of_other_commands(
    words: str, capsys: pytest.CaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(words.split())
    said = capsys.readouterr().err
    assert OTHERS[words] in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []  # and nothing is written
