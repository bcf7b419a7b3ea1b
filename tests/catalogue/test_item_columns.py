"""Values of columns that are no text: numbers that are missing, and booleans."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from seqrec.catalogue.item_columns import read_item_columns
from seqrec.catalogue.item_fields import OPTIONS
from seqrec.reranking.item_values import ItemValues
from seqrec.reranking.rules import Quota, Rules
from seqrec.settings.rerank import Rerank

NAN = float("nan")


def values_of(path: Path) -> dict[str, list[list[str]]]:
    names = ["seller", "adult"]
    return read_item_columns(str(path), names, kind=pa.int64(), options=OPTIONS).values


def test_nan_is_no_value_and_booleans_are_true_and_false(tmp_path: Path) -> None:
    path, lines = tmp_path / "items.parquet", tmp_path / "items.json"
    pq.write_table(pa.table({"item_id": [1, 2, 3], "seller": [7.0, NAN, NAN], "adult": [True, False, None]}), path)
    assert values_of(path) == {"seller": [["7"], [], []], "adult": [["true"], ["false"], []]}
    lines.write_text('{"item_id": 1, "seller": NaN, "adult": true}\n{"item_id": 2, "seller": [NaN, 7.0], "adult": [false]}\n')
    assert values_of(lines) == {"seller": [[], ["7"]], "adult": [["True"], ["false"]]}


@pytest.mark.parametrize("written", [["true"], ["True"], ["TRUE"]])
@pytest.mark.parametrize("equals", [True, "true", "True"])
def test_a_quota_of_a_boolean_counts_however_it_is_written(equals: bool | str, written: list[str]) -> None:
    quotas = {"q": {"column": "adult", "least": 1, "equals": equals}}
    rules = Rerank.model_validate({"items": {"path": "items.csv"}, "quotas": quotas}).rules()
    assert rules is not None
    values = ItemValues.of(rules, {"adult": [["false"], written, []]}, 3)
    assert values.quotas[0].tolist() == [False, True, False, False]


def test_other_texts_are_compared_as_they_are() -> None:
    rules = Rules(items="items.csv", quotas=[Quota(name="q", column="kind", least=1, equals="War")])
    assert ItemValues.of(rules, {"kind": [["war"], ["War"]]}, 2).quotas[0].tolist() == [False, True, False]


def test_a_number_is_no_value_that_a_quota_takes_for_true() -> None:
    with pytest.raises(ValidationError, match="equals"):
        Rerank.model_validate({"items": {"path": "items.csv"}, "quotas": {"q": {"column": "adult", "least": 1, "equals": 1}}})
