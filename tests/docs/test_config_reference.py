"""docs/reference/config.md is what the schema and the registries say."""

import config_reference

from rlvr.config.keys import all_keys


def test_the_page_is_fresh():
    assert config_reference.PAGE.read_text(encoding="utf-8") == config_reference.page(), (
        "run: python scripts/config_reference.py"
    )


def test_every_key_has_a_meaning():
    options = {f"{key.option.partition('=')[0]}.name" for key in all_keys() if key.option}
    assert [
        key.name for key in all_keys() if not config_reference.meaning(key) and key.name not in options
    ] == []


def test_rows_by_hand():
    page = config_reference.PAGE.read_text(encoding="utf-8")
    for row in (
        "| `algorithm.kl_coefficient` | float | `0.0` | 0 or more | k3 against the initial policy |",
        "| `advantage_scaling.gamma` with `advantage_scaling=focal` | float | `0.5` | 0 or more "
        "| exponent of the failure rate; 0 is no scaling |",
        "| `training.steps` | int or null | `to be given` | 0 or more "
        "| rollout batches; null: as many as `epochs` take |",
        "| `algorithm.baseline` with `algorithm.advantage=reinforce_plus_plus` | str | `none` | group, none "
        "| what is taken off before: nothing, or the mean reward of the rollout's group |",
        "| `algorithm.baseline` with `algorithm.advantage=pass_at_k` | str | `mean` "
        "| leave_one_out, leave_one_out_minus_one, mean, none | what is taken off |",
    ):
        assert row in page.splitlines()
