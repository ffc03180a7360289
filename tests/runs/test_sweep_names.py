"""The runs of a sweep are called by the keys that differ; no two different runs share a name."""

from pathlib import Path

from rlvr.config import load_config, run_directory, to_yaml
from rlvr.runs.sweep import expand
from rlvr.runs.sweep_names import name_of, named


def arms(jobs: list[list[str]]) -> list[str]:
    return [load_config(job).arm for job in jobs]


def write(job: list[str]) -> None:
    config = load_config(job)
    run_directory(config).mkdir(parents=True)
    (run_directory(config) / "config.yaml").write_text(to_yaml(config))


def test_names_say_the_keys_that_differ_and_nothing_else(tmp_path: Path):
    sweep = ["scale=smoke", f"runs={tmp_path}", "advantage_scaling=focal", "seed=1,2"]
    jobs = named(expand([*sweep, "advantage_scaling.gamma=0.5,1", "group_size.n=4,8", "algorithm=dapo"]))
    assert sorted(set(arms(jobs))) == ["gamma=0.5,n=4", "gamma=0.5,n=8", "gamma=1,n=4", "gamma=1,n=8"]
    assert len({run_directory(load_config(job)) for job in jobs}) == 8
    assert sorted(set(arms(named(expand([*sweep, "algorithm=grpo,dapo"]))))) == [
        "algorithm=dapo",
        "algorithm=grpo",
    ]


def test_reward_functions_of_files_are_called_by_their_names(tmp_path: Path):
    file, other = tmp_path / "mine.py", tmp_path / "yours.py"
    for path in (file, other):
        path.write_text("def short(text): return 1\ndef plain(text): return 0\n")
    assert arms(named(expand([f"reward={file}:short,{file}:plain"]))) == ["reward=short", "reward=plain"]
    jobs = named(expand([f"reward=correctness,{file}:short"]))  # Hydra writes the second one with a \\:
    assert [load_config(job).reward.name for job in jobs] == ["correctness", "python"]
    assert arms(jobs) == ["reward=correctness", "reward=short"]
    first, second = arms(named(expand([f"reward={file}:short,{other}:short", "group_size.n=4"])))
    assert first != second and len({first.split("~")[0], second.split("~")[0]}) == 2


def test_seeds_alone_are_one_arm_and_given_names_stay():
    assert named(expand(["seed=1,2", "scale=smoke"])) == [
        ["++seed=1", "scale=smoke"],
        ["++seed=2", "scale=smoke"],
    ]
    assert arms(named(expand(["arm=mine", "group_size.n=4,8"]))) == ["mine", "mine"]


def test_a_name_that_another_run_has_is_made_longer(tmp_path: Path):
    def jobs(rate: str) -> list[list[str]]:
        return named(
            expand([f"runs={tmp_path}", "group_size.n=4,8", "scale=smoke", f"training.learning_rate={rate}"])
        )

    first = jobs("0.001")
    assert arms(first) == ["n=4", "n=8"]
    write(first[1])
    assert jobs("0.001") == first  # the same sweep again
    second = jobs("0.002")
    assert arms(second) == ["n=4,scale=smoke,learning_rate=0.002", "n=8,scale=smoke,learning_rate=0.002"]
    write(second[0])
    (run_directory(load_config(first[1])) / "config.yaml").unlink()
    assert jobs("0.002") == second  # found again, even where the short name has become free


def test_more_steps_are_the_same_runs(tmp_path: Path):
    def jobs(steps: int) -> list[list[str]]:
        return named(
            expand([f"runs={tmp_path}", "group_size.n=4,8", "scale=smoke", f"training.steps={steps}"])
        )

    write(jobs(2)[0])
    assert arms(jobs(4)) == ["n=4", "n=8"]
    assert arms(jobs(1)) == ["n=4,scale=smoke,steps=1", "n=8,scale=smoke,steps=1"]


def test_long_and_odd_values_are_cut_and_stay_unique():
    long = [{"path": f"/data/sets/{'x' * 90}/{end}.jsonl", "n": "8"} for end in ("train", "drain")]
    names = [name_of(one) for one in long]
    assert len(set(names)) == 2
    assert all(name.startswith("path=-data-sets") and ",n=8~" in name and len(name) <= 120 for name in names)
    assert name_of({"k": "[1,2]"}) == "k=[1,2]"
    assert name_of({"path": "a/b"}) != name_of({"path": "a-b"}) == "path=a-b"
