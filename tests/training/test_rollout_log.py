import json

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from training_groups import LOST, RIGHT, WRONG
from transformers import PreTrainedTokenizerFast

from rlvr.config import load_config
from rlvr.data import Completion, Group, Problem
from rlvr.policy.policy import Policy
from rlvr.training.batch import make_batch
from rlvr.training.rollout_log import GROUPS, describe_groups, token_texts


@pytest.fixture(scope="module")
def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A token a byte, so that most characters are several."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({character: i for i, character in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def test_tokens_join_to_the_text(byte_tokenizer: PreTrainedTokenizerFast):
    text = "1 + é = λ·🙂!"
    ids = byte_tokenizer(text)["input_ids"]
    pieces = token_texts(byte_tokenizer, ids)
    assert len(pieces) == len(ids) == len(text.encode())
    assert "".join(pieces) == text
    assert pieces[4:7] == ["", "é", " "]
    assert token_texts(byte_tokenizer, ids[:5])[-1] == "\ufffd"  # cut inside a character


def test_tokens_of_the_embedded_policy(frozen_policy: Policy):
    ids = frozen_policy.tokenizer("4*(12-10)", add_special_tokens=False)["input_ids"]
    pieces = token_texts(frozen_policy.tokenizer, [*ids, frozen_policy.tokenizer.eos_token_id])
    assert "".join(pieces) == frozen_policy.tokenizer.decode([*ids, frozen_policy.tokenizer.eos_token_id])


def group(name: str, answers: dict[str, object], policy: Policy) -> Group:
    completions = []
    for text in answers:
        ids = policy.tokenizer(text, add_special_tokens=False)["input_ids"]
        completions.append(Completion(ids, [-1.0] * len(ids), text, "stop", 0))
    problem = Problem(name, "test", ({"role": "user", "content": f"about {name}"},), "", "expression")
    return Group(problem, [1], completions, list(answers.values()))


def test_a_group_is_described_as_it_was_learned_from(frozen_policy: Policy):
    """Advantages of one right and one wrong answer are ±0.5 / sqrt(0.5), times (1 - 1/2) for gamma 1; two of
    three tokens are shared by the two scorable rollouts, so they weigh a half."""
    config = load_config(["credit=process_lambda", "advantage_scaling=focal", "advantage_scaling.gamma=1.0"])
    batch = make_batch(
        [
            group("p0", {"1+2": RIGHT}, frozen_policy),
            group("p1", {"1+2": RIGHT, "1+3": WRONG, "1+4": LOST}, frozen_policy),
        ],
        config,
    )
    described = describe_groups(batch, frozen_policy.tokenizer, config.credit.name)
    mixed, alone = json.loads(json.dumps(described))  # the one with signal comes first

    assert (mixed["problem"], mixed["prompt"], alone["problem"]) == ("p1", "about p1", "p0")
    assert mixed["focal_weight"] == 0.5
    right, wrong, lost = mixed["completions"]
    assert right["advantage"] == pytest.approx(0.5 * 0.5**0.5, abs=1e-5)
    assert wrong["advantage"] == pytest.approx(-right["advantage"])
    assert (right["tokens"], right["weights"]) == (["1", "+", "2"], [0.5, 0.5, 1.0])
    assert (right["verdict"], right["reward"]) == ("correct", 1.0)
    assert (lost["verdict"], lost["advantage"], lost["weights"]) == ("timeout", None, None)
    assert alone["completions"][0]["advantage"] == 0


def test_only_a_few_groups_are_kept(frozen_policy: Policy):
    groups = [group(f"p{i}", {"1+2": RIGHT}, frozen_policy) for i in range(GROUPS + 3)]
    kept = describe_groups(make_batch(groups, load_config([])), frozen_policy.tokenizer, "outcome")
    assert [entry["problem"] for entry in kept] == [f"p{i}" for i in range(GROUPS)]


def test_the_weight_of_a_group_is_the_mean_of_its_rollouts(frozen_policy: Policy):
    """Of three right answers in two forms: 1 for the wrong one, then 3/4, 3/4 and 3/2."""
    config = load_config(["advantage_scaling=rare_answer"])
    answers = {"1+2": RIGHT, "2+1": RIGHT, "4": RIGHT, "3": WRONG}
    batch = make_batch([group("p0", answers, frozen_policy)], config)
    assert batch.focal_R.tolist() == [0.75, 0.75, 1.5, 1.0]
    (described,) = describe_groups(batch, frozen_policy.tokenizer, config.credit)
    assert described["focal_weight"] == 1.0
