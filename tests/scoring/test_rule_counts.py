"""What is said of lists under rules."""

import pytest

from seqrec.reranking.rules import Cap, Rules
from seqrec.scoring.rule_counts import short_words

CAP = (Cap("genres", 1),)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (Rules(mmr_lambda=0.5), "their users have no more candidates: set rerank.fill=popular"),
        (Rules(fill=True), "their users have had the others"),
        (
            Rules(items="t", caps=CAP),
            "the caps leave no more, or their users have no more candidates: set rerank.fill=popular, or fewer rerank.places, or "
            "a greater rerank.pool",
        ),
        (
            Rules(items="t", caps=CAP, fill=True),
            "the caps leave no more, or their users have had the others: set fewer rerank.places, or a greater rerank.pool",
        ),
    ],
)
def test_only_what_helps_is_recommended(rules: Rules, words: str) -> None:
    assert "".join(short_words(rules)) == words
