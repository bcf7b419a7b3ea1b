"""Batches handed over by several threads."""

import threading

import pytest

from seqrec.reranking.nearest import Entities
from seqrec.stores import vectors


def test_batches_are_sent_side_by_side_and_each_once() -> None:
    together, sent = threading.Barrier(vectors.SENDERS, timeout=10), []

    def upsert(batch: Entities) -> None:
        together.wait()
        sent.append(batch[0]["item_id"])

    vectors.send_batches(([{"item_id": item}] for item in range(3 * vectors.SENDERS)), upsert)
    assert sorted(sent) == list(range(3 * vectors.SENDERS))


def test_an_error_is_raised_and_nothing_is_begun_after_it() -> None:
    begun = []

    def upsert(batch: Entities) -> None:
        begun.append(batch[0]["item_id"])
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        vectors.send_batches(([{"item_id": item}] for item in range(10)), upsert)
    assert len(begun) <= vectors.SENDERS
