"""The columns of items that rules name, read for a model."""

from pathlib import Path

import pyarrow as pa
import pytest

from seqrec.errors import UserError
from seqrec.reranking.rules import Boost, Cap, Rules
from seqrec.serving.open_rules import open_rules


def test_what_is_no_number_is_counted_and_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "items.csv").write_text("item_id;price;brand\n1;12.50;x\n2;12 €;y\n3;1|2;\n4;;z\n9;z;z\n")
    rules = Rules(items=str(tmp_path / "items.csv"), boosts=[Boost("price", 0.1)], caps=[Cap("brand", 1)])
    with caplog.at_level("WARNING"):
        opened = open_rules(rules, pa.array([1, 2, 3, 4, 5]))
    assert opened.words.endswith("of 5 items have a value: brand 3, price 1")
    assert [record.message for record in caplog.records] == [
        "rerank: 2 of 3 items have a price that is no single number, such as '12 €': boosts and minimums take it for none"
    ]


def test_lists_in_json_lines_are_values(tmp_path: Path) -> None:
    path = tmp_path / "items.json"
    path.write_text('{"item_id": 1, "genres": ["Drama", "War"]}\n{"item_id": 2, "genres": "War"}\n{"item_id": 3, "genres": []}\n')
    opened = open_rules(Rules(items=str(path), caps=[Cap("genres", 1)]), pa.array([1, 2, 3]))
    assert opened.words.endswith("of 3 items have a value: genres 2")
    assert opened.values.caps[0].values.tolist() == [1, 2, 2]
    assert opened.values.caps[0].lengths.tolist() == [2, 1, 0, 0]


def test_a_column_without_a_value_is_refused(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id,genres,mood\n1,War,\n2,,\n9,,calm\n")
    opened = open_rules(Rules(items=str(tmp_path / "items.csv"), caps=[Cap("genres", 1)]), pa.array([1, 2]))
    assert opened.words.endswith("genres 1")
    with pytest.raises(UserError, match="column mood has no value of any of these items: name another in a cap, quota or boost"):
        open_rules(Rules(items=str(tmp_path / "items.csv"), caps=[Cap("mood", 1)]), pa.array([1, 2]))
