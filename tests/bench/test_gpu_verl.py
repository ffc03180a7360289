"""What is measured of verl is the update that is measured of rlvr (run with `-m verl`)."""

import pytest

pytest.importorskip("verl")
from rlvr.bench.gpu_parts import saved_model
from rlvr.bench.gpu_shapes import TINY_WORKS, Work, learner_of, random_batch
from rlvr.bench.gpu_timing import Clock
from rlvr.bench.gpu_verl import verl_updates

pytestmark = pytest.mark.verl


def test_its_gradient_is_ours():
    lines = [said | measure() for said, measure in verl_updates(saved_model(dry=True), True, Clock(60))]
    assert [(line["rollouts"], line["tokens"]) for line in lines] == 2 * list(TINY_WORKS)
    for line in lines:
        work = Work("0.5B", line["rollouts"], line["tokens"], line["way"], dry=True)
        ours = learner_of(work).update(random_batch(work))
        assert line["gradient_norm"] == pytest.approx(ours["update/gradient_norm"], rel=0.02)
        assert min(line["seconds"]) > 0
