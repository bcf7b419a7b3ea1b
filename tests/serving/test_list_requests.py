"""Rows of requests, as pandas makes them of JSON, into what a list is asked for."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from seqrec.errors import UserError
from seqrec.serving.list_requests import ListRequest, read_requests
from seqrec.serving.model_ids import ModelIds
from seqrec.storage.metadata import IdTypes

NUMBERS = ModelIds(items=pa.array([1, 34, 56]), types=IdTypes(user="bigint", item="bigint"), model="m")
TEXTS = ModelIds(items=pa.array(["a", "b"]), types=IdTypes(user="string", item="string"), model="m")


def read(*rows: Any, ids: ModelIds = NUMBERS) -> list[ListRequest]:
    """The requests of rows in JSON, which MLflow's server gives to pandas as here."""
    return read_requests(pd.DataFrame(data=json.loads(json.dumps(rows))), ids, top_k=10)


def test_what_is_not_said_has_its_default() -> None:
    [one] = read({"instances": [1, 34, 0, 0]})
    assert one == ListRequest(history=[1, 34, 0, 0], k=10, filter_seen=True, allow=None, deny=[], user=None)


def test_each_row_says_what_it_wants() -> None:
    first, second = read(
        {"instances": [1], "k": 3, "filter_seen": False, "deny": [34], "user": 7}, {"instances": [], "allow": [56], "k": None}
    )
    assert first == ListRequest(history=[1], k=3, filter_seen=False, allow=None, deny=[34], user=7)
    assert second == ListRequest(history=[], k=10, filter_seen=True, allow=[56], deny=[], user=None)


def test_a_number_beyond_all_floats_is_refused_as_others_are() -> None:
    table = pd.DataFrame({"instances": [[1]], "k": pd.Series([10**309], dtype=object)})
    with pytest.raises(UserError, match=r"row 1: k: 1000.* is no whole number from 1 to 10,000"):
        read_requests(table, NUMBERS, top_k=10)


def test_a_table_of_numpy_is_read_as_one_of_json() -> None:
    table = pd.DataFrame({"instances": [np.array([1.0, 34.0])], "k": np.array([2], np.int32), "user": np.array([7])})
    [one] = read_requests(table, NUMBERS, top_k=10)
    assert (one.history, one.k, one.user) == ([1, 34], 2, 7)
    assert [type(value) for value in (*one.history, one.k, one.user)] == [int] * 4


def test_zeros_pad_a_history_of_texts_on_either_side() -> None:
    [one] = read({"instances": [0, 0, "a", "0", 0], "deny": ["b", 0]}, ids=TEXTS)
    assert (one.history, one.deny) == (["a", "0"], ["b"])


def test_no_rows_ask_for_nothing() -> None:
    assert read() == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"instances": ["318"]}, "row 1: instances: '318' is no item id of the model m, whose item ids are whole numbers"),
        ({"instances": [1.5]}, "row 1: instances: 1.5 is no item id"),
        ({"instances": [True]}, "row 1: instances: True is no item id"),
        ({"instances": [None]}, "row 1: instances: None is no item id"),
        ({"instances": [[1]]}, "row 1: instances: [1] is no item id"),
        ({"instances": [2**70]}, "is no item id"),
        ({"instances": 318}, "row 1: instances: 318 is no list: give a list of item ids"),
        ({"instances": "[1, 2]"}, "row 1: instances: '[1, 2]' is no list"),
        ({"instances": None}, "row 1: instances is missing"),
        ({"k": 5}, "there is no column instances among ['k']: send {\"dataframe_records\""),
        ({"instances": [1], "k": 0}, "row 1: k: 0 is no whole number from 1 to 10,000"),
        ({"instances": [1], "k": "5"}, "row 1: k: '5' is no whole number"),
        ({"instances": [1], "k": 2.5}, "row 1: k: 2.5 is no whole number"),
        ({"instances": [1], "k": True}, "row 1: k: True is no whole number"),
        ({"instances": [1], "k": 10_001}, "row 1: k: 10001 is no whole number from 1 to 10,000"),
        ({"instances": [1], "filter_seen": "no"}, "row 1: filter_seen: 'no' is neither true nor false"),
        ({"instances": [1], "filter_seen": 0}, "row 1: filter_seen: 0 is neither true nor false"),
        ({"instances": [1], "deny": 34}, "row 1: deny: 34 is no list"),
        ({"instances": [1], "deny": ["34"]}, "row 1: deny: '34' is no item id"),
        ({"instances": [1], "allow": ["34"]}, "row 1: allow: '34' is no item id"),
        ({"instances": [1], "user": "ann"}, "row 1: user: 'ann' is no user id of the model m, whose user ids are whole numbers"),
        ({"instances": [1], "filterseen": True}, "there is no column 'filterseen': did you mean filter_seen?"),
        ({"instances": [1], "zzz": True}, "there is no column 'zzz': a row has instances, k, filter_seen, allow, deny, user"),
        (5, "there is no column instances"),
    ],
)
def test_what_cannot_be_answered_is_said_in_one_sentence(row: Any, message: str) -> None:
    with pytest.raises(UserError) as refused:
        read(row)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("instances", "message"),
    [
        ([318], "instances: 318 is no item id of the model m, whose item ids are text"),
        (["\ud800"], "is no item id"),
        ([0.5], "instances: 0.5 is no item id"),
    ],
)
def test_numbers_are_no_ids_where_ids_are_text(instances: list[Any], message: str) -> None:
    with pytest.raises(UserError) as refused:
        read({"instances": instances}, ids=TEXTS)
    assert message in str(refused.value)


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(UserError) as refused:
        read({"instances": ["x" * 10_000]})
    assert len(str(refused.value)) < 200


def test_the_row_that_is_wrong_is_named() -> None:
    with pytest.raises(UserError, match=r"^row 2: instances is missing"):
        read({"instances": [1]}, {"k": 3})


def test_ids_of_users_that_pandas_rounds_are_refused() -> None:
    with pytest.raises(UserError, match="row 1: user: 9007199254740992 may have lost digits"):
        read({"instances": [1], "user": 2**53 + 1}, {"instances": [1]})
    assert [one.user for one in read({"instances": [1], "user": 2**53 + 1})] == [2**53 + 1]


def test_columns_are_there_once() -> None:
    table = pd.DataFrame([[[1], [2]]], columns=["instances", "instances"])
    with pytest.raises(UserError, match="a column is there twice"):
        read_requests(table, NUMBERS, top_k=10)


def test_arrays_of_numbers_are_no_request() -> None:
    with pytest.raises(UserError, match="the request is no table: send"):
        read_requests(np.array([[1, 34]]), NUMBERS, top_k=10)
