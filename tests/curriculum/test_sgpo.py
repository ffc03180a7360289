from collections import Counter

import pytest

from rlvr.config import load_config
from rlvr.curriculum import build_curriculum
from rlvr.curriculum.group_size import build_group_size
from rlvr.curriculum.profile import Profile
from rlvr.curriculum.sgpo import Phase, SGPOCurriculum, has_plateaued, sgpo_phases
from rlvr.data import Completion, Group, Problem, Verdict
from rlvr.errors import UserError

SIZED = ["curriculum=sgpo", "group_size=inverse_success"]


def problem(name: str) -> Problem:
    return Problem(name, "test", (), "", "expression")


def profile_of(counts: dict[str, tuple[int, int]]) -> Profile:
    return Profile("weights", "data", counts, 0, 0, 0.0, 0.0)


@pytest.fixture
def profiled() -> tuple[list[Problem], Profile]:
    """Three problems each of 0 to 8 right answers of 8, and twenty more that are never solved."""
    counts = {f"{right}-{number}": (right, 8) for right in range(9) for number in range(3)}
    counts |= {f"0-{number}": (0, 8) for number in range(3, 23)}
    return [problem(name) for name in counts], profile_of(counts)


def groups_with_success_rate(rate: float, size: int) -> list[Group]:
    """A hundred rollouts, in groups of a phase's size."""
    verdicts = [Verdict.CORRECT] * round(100 * rate) + [Verdict.WRONG] * round(100 * (1 - rate))
    completions = [Completion([], [], "", "stop", 0)] * size
    return [Group(problem("p"), [], completions, verdicts[at : at + size]) for at in range(0, 100, size)]


def test_phases_by_hand(profiled: tuple[list[Problem], Profile]):
    problems, profile = profiled
    phases = sgpo_phases(problems, profile, build_group_size(load_config(SIZED), profile))
    learnable = [{p.id for p in phase.problems if p.id[0] != "0"} for phase in phases]
    unsolved = [[p.id for p in phase.problems if p.id[0] == "0"] for phase in phases]

    assert [phase.group_size for phase in phases] == [2, 4, 8]
    assert learnable[0] == {f"{right}-{number}" for right in (3, 4, 5, 6) for number in range(3)}
    assert learnable[1] == {"2-0", "2-1", "2-2"}
    assert learnable[2] == {"1-0", "1-1", "1-2"}
    assert unsolved[0] == unsolved[1] == unsolved[2]
    assert len(set(unsolved[0])) == round(0.1 * 23)


def test_the_unsolved_subset_is_a_function_of_its_seed(profiled: tuple[list[Problem], Profile]):
    problems, profile = profiled

    def unsolved(seed: int) -> set[str]:
        (phase,) = sgpo_phases(problems, profile, lambda _: 8, unsolved_share=0.5, seed=seed)
        return {p.id for p in phase.problems if p.id[0] == "0"}

    assert unsolved(0) == unsolved(0)
    assert unsolved(0) != unsolved(1)


def test_one_group_size_is_one_phase_and_six_of_eight_is_not_trivial(
    profiled: tuple[list[Problem], Profile],
):
    problems, profile = profiled
    (phase,) = sgpo_phases(problems, profile, lambda _: 8, unsolved_share=0)
    assert Counter(p.id[0] for p in phase.problems) == dict.fromkeys("123456", 3)


def test_nothing_learnable_is_said():
    profile = profile_of({"a": (0, 8), "b": (8, 8), "c": (0, 0)})
    with pytest.raises(UserError, match="none of 3 profiled problems"):
        sgpo_phases([problem(name) for name in "abc"], profile, lambda _: 8)


def test_a_problem_that_could_not_be_scored_counts_as_never_solved():
    config = load_config(["group_size=inverse_success"])
    size = build_group_size(config, profile_of({"lost": (0, 0), "easy": (1, 2)}))
    assert (size(problem("lost")), size(problem("easy"))) == (8, 2)


def make(phase_end: str, *, steps: int = 9, batch_size: int = 2, **options) -> SGPOCurriculum:
    """Three phases of 3, 4 and 5 problems."""
    phases = [
        Phase(size, [problem(f"{size}/{number}") for number in range(count)])
        for size, count in ((2, 3), (4, 4), (8, 5))
    ]
    return SGPOCurriculum(phases, steps=steps, batch_size=batch_size, seed=1, phase_end=phase_end, **options)


def walk(curriculum: SGPOCurriculum, steps: int, rate: float = 0.5) -> list[list[tuple[str, int]]]:
    batches = []
    for _ in range(steps):
        batches.append([(p.id, size) for p, size in curriculum.next_batch()])
        curriculum.observe(groups_with_success_rate(rate, batches[-1][0][1]))
    return batches


def sizes(batches: list[list[tuple[str, int]]]) -> list[int]:
    """The group size of each batch, which is one."""
    for batch in batches:
        assert len({size for _, size in batch}) == 1
    return [batch[0][1] for batch in batches]


def test_phases_of_equal_steps():
    assert sizes(walk(make("steps"), 9)) == [2] * 3 + [4] * 3 + [8] * 3
    assert sizes(walk(make("steps", steps=10), 11)) == [2] * 4 + [4] * 3 + [8] * 4


def test_phases_of_epochs_count_queries():
    """3, 4 and 5 problems at 2 a step: 2 and 2 steps are an epoch or a little more, 3 and 4 two epochs."""
    assert sizes(walk(make("epochs"), 6)) == [2, 2, 4, 4, 8, 8]
    assert sizes(walk(make("epochs", epochs=2), 9)) == [2] * 3 + [4] * 4 + [8] * 2


def test_a_plateau_ends_a_phase_and_rising_rewards_do_not():
    curriculum = make("plateau", window=2, minimum_gain=0.05)
    for rate in (0.1, 0.1, 0.3, 0.3, 0.5, 0.5):
        assert sizes(walk(curriculum, 1, rate)) == [2]
    # of the last four .5 .5 .5 .5 the second half gains nothing; then the count begins anew
    assert sizes(walk(curriculum, 2, 0.5)) == [2, 2]
    assert sizes(walk(curriculum, 5, 0.5)) == [4, 4, 4, 4, 8]


def test_a_step_that_was_sampled_ahead_of_a_phase_says_nothing_of_it():
    """One step off-policy: after the change of phase the step of the phase before is still to come."""
    curriculum = make("plateau", window=1, minimum_gain=0.05)
    curriculum.observe(groups_with_success_rate(0.9, 2))
    curriculum.observe(groups_with_success_rate(0.9, 2))
    curriculum.observe(groups_with_success_rate(0.9, 2))  # sampled before it was known
    assert (curriculum.phase, curriculum.rewards) == (1, [])
    curriculum.observe(groups_with_success_rate(0.1, 4))
    assert (curriculum.phase, curriculum.rewards) == (1, [0.1])


def test_plateau_by_hand():
    assert not has_plateaued([0.5, 0.5, 0.5], window=2, minimum_gain=0.01)
    assert has_plateaued([0.5] * 4, window=2, minimum_gain=0.01)
    assert not has_plateaued([0.9, 0.1, 0.2, 0.3, 0.4], window=2, minimum_gain=0.15)
    assert has_plateaued([0.9, 0.1, 0.2, 0.3, 0.4], window=2, minimum_gain=0.25)


def test_answers_that_could_not_be_scored_are_no_part_of_the_reward():
    curriculum = make("plateau")
    completions = [Completion([], [], "", "stop", 0)] * 2
    for verdicts in ([Verdict.CORRECT, Verdict.TIMEOUT], [Verdict.TIMEOUT, Verdict.ERROR]):
        curriculum.observe([Group(problem("p"), [], completions, verdicts)])
    assert curriculum.rewards == [1.0]


def test_every_problem_of_a_phase_once_an_epoch():
    batches = walk(make("steps", steps=1000), 15)
    asked = [name for batch in batches for name, _ in batch]
    for start in range(0, 30, 3):
        assert sorted(asked[start : start + 3]) == ["2/0", "2/1", "2/2"]
    assert len({tuple(asked[start : start + 3]) for start in range(0, 30, 3)}) > 1


@pytest.mark.parametrize("phase_end", ["steps", "epochs", "plateau"])
def test_a_resumed_curriculum_goes_on_as_if_it_had_not_stopped(phase_end: str):
    unbroken = walk(make(phase_end, window=1, epochs=1), 9)
    for stop in range(9):
        first = make(phase_end, window=1, epochs=1)
        before = walk(first, stop)
        second = make(phase_end, window=1, epochs=1)
        second.load_state_dict(first.state_dict())
        assert before + walk(second, 9 - stop) == unbroken


def test_shuffled_problems_have_group_sizes_of_their_own(profiled: tuple[list[Problem], Profile]):
    problems, profile = profiled
    one_batch = ["training.prompts_per_step=47", "training.mini_batch_prompts=47", "data.size=47"]
    config = load_config(["group_size=inverse_success", *one_batch])
    drawn = build_curriculum(config, problems, profile).next_batch()
    assert {(p.id[0], size) for p, size in drawn} == {
        *(("0", 8), ("1", 8), ("2", 4)),
        *((str(right), 2) for right in range(3, 9)),
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["training.steps=2"], "training.steps=2 ends before phase 3 of 3"),
        (["training.steps=3"], None),
        # two windows a phase at the least: steps 1 to 4 and 5 to 8
        (["training.steps=8", "curriculum.phase_end=plateau", "curriculum.window=2"], "before phase 3 of 3"),
        (["training.steps=5", "curriculum.phase_end=plateau", "curriculum.window=2"], "before phase 3 of 3"),
        (["training.steps=9", "curriculum.phase_end=plateau", "curriculum.window=2"], None),
    ],
)
def test_phases_that_no_step_is_left_for_are_said(profiled, options: list[str], said: str | None, capsys):
    problems, profile = profiled
    config = load_config([*SIZED, *options])
    curriculum = build_curriculum(config, problems, profile)
    printed = capsys.readouterr().err
    assert said in printed if said else not printed
    reached = set()
    for _ in range(config.training.steps):  # with a success rate that never changes
        reached.add(curriculum.phase)
        curriculum.next_batch()
        curriculum.observe(groups_with_success_rate(0.5, curriculum.phases[curriculum.phase].group_size))
    assert reached == set(range(2 if said else 3))
