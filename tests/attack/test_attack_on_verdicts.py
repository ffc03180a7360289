"""The generated attack on the verifier, in full."""

import pytest
from verdicts import attack, cases


@pytest.mark.slow
def test_no_answer_passes_that_is_not_right_and_none_escapes() -> None:
    counts, missed = attack()
    assert counts["cases"] == len(cases()) >= 1000
    assert missed == []
    assert counts["false_yes"] == counts["false_no"] == counts["unscorable"] == counts["processes_lost"] == 0
