"""The settings of rules: what they mean, and which are refused before anything runs."""

from typing import Any

import pytest
from pydantic import ValidationError

from seqrec.reranking.rules import Boost, Cap, Quota, Rules
from seqrec.settings.batch_recommend import BatchRecommend
from seqrec.settings.rerank import Rerank

REQUIRED: dict[str, Any] = {
    "data": "d",
    "model": "m",
    "output": "o",
    "publish": False,
    "stores": {"mongodb_uri": "none", "milvus_uri": "none"},
}


def test_settings_without_a_rule_are_none() -> None:
    assert Rerank().rules() is None
    assert Rerank(mmr_lambda=0.7, places=20).rules() is None  # the defaults, said
    assert Rerank(method="none", mmr_lambda=0.2, places=5).rules() is None  # a file's rules, switched off above it


def test_settings_are_the_rules() -> None:
    quota = {"column": "year", "least": 2, "minimum": 2020.0}
    cap = {"column": ["genres", "studio"], "most": 3}
    given: dict[str, Any] = {
        "method": "mmr",
        "items": {"path": "m.csv"},
        "cap": cap,
        "quotas": {"fresh": quota},
        "boosts": {"margin": 0.5},
    }
    assert Rerank(**given).rules() == Rules(
        mmr_lambda=0.7,
        items="m.csv",
        caps=[Cap("genres", 3), Cap("studio", 3)],
        quotas=[Quota(name="fresh", column="year", least=2, minimum=2020.0)],
        boosts=[Boost("margin", 0.5)],
    )


@pytest.mark.parametrize(
    ("rerank", "message"),
    [
        ({"cap": {"column": "genres", "most": 3}}, "rules by genres need a table of items with these columns: set items=FILE"),
        ({"items": {"path": "m.csv"}}, "no cap, quota or boost names a column of it"),
        ({"items": "m.csv"}, "rerank.items is called rerank.items.path now: write rerank.items.path=m.csv"),
        ({"item_key": "id"}, "rerank.item_key is called rerank.items.id now: write rerank.items.id=id"),
        ({"delimiter": ","}, "rerank.delimiter is called rerank.items.delimiter now: write rerank.items.delimiter=,"),
        ({"cap": {"column": "genres"}, "items": {"path": "m.csv"}}, "cap.column=genres and cap.most=None: set both"),
        ({"cap": {"column": ["a", "b"], "most": [1, 2, 3]}, "items": {"path": "m.csv"}}, "a number for each column"),
        ({"quotas": {"q": {"column": "a", "least": 1}}, "items": {"path": "m.csv"}}, "give either equals=TEXT or minimum=NUMBER"),
        (
            {
                "cap": {"column": "genres", "most": 1},
                "quotas": {"war": {"column": "genres", "least": 2, "equals": "War"}},
                "items": {"path": "m"},
            },
            "quota war wants 2 items with genres=War, and the cap allows 1",
        ),
        ({"mmr_lambda": 0.2, "fill": "popular"}, r"mmr_lambda=0.2 has no effect without rerank.method=mmr"),
        ({"places": 5, "pool": 200}, "places and pool have no effect without a rule: set rerank.method=mmr, a cap"),
        ({"method": "mmr", "pool": 9}, "rerank.pool=9: a list has top_k=100 items"),
        (
            {"quotas": {"new": {"column": "year", "least": 21, "minimum": 2020}}, "items": {"path": "m"}},
            "quota new: least=21, and rules hold in the first places=20",
        ),
        (
            {"quotas": {"new": {"column": "year", "least": 101, "minimum": 2020}}, "items": {"path": "m"}, "places": None},
            "rerank.quotas.new.least=101: a list has top_k=100 items",
        ),
    ],
)
def test_rules_that_do_not_fit_are_refused(rerank: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        BatchRecommend(**REQUIRED, rerank=rerank)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"popular_by": "country"}, "popular_by=COLUMN and user_table=FILE say together"),
        ({"user_key": "id"}, "user_key is a column of user_table=FILE"),
        ({"rerank": {"method": "mmr"}, "write": ["user_embeddings"]}, "rerank needs recommendations in write"),
    ],
)
def test_keys_that_need_others_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        BatchRecommend(**REQUIRED | given)
