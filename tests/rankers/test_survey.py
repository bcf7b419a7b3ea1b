"""The encoding that the rows give, where a dataset has no genres."""

from pathlib import Path

import pyarrow as pa
import pytest

from seqrec.errors import UserError
from seqrec.rankers.chosen_columns import choose_columns
from seqrec.rankers.samples import LabelColumn, open_samples
from seqrec.rankers.survey import survey
from tests.rankers.toy import FEATURE_SCHEMA, sample_table, write_samples


def test_lists_that_are_empty_are_no_feature_and_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = sample_table()
    place = table.schema.get_field_index("user_genre_shares")
    empty = pa.array([[]] * (len(table) - 1) + [None], pa.list_(pa.float32()))
    write_samples(tmp_path, table.set_column(place, "user_genre_shares", empty), schema={**FEATURE_SCHEMA, "genres": []})
    samples = open_samples(str(tmp_path), label=LabelColumn())
    with caplog.at_level("INFO"):
        surveyed = survey(samples, choose_columns(samples, discrete=None, continuous=None), max_categories=100)
    assert surveyed.encoding.names == ["user_id", "item_id", "genre", "age", "item_mean_rating"]
    assert "columns left out, as their lists are empty: user_genre_shares" in caplog.text
    with pytest.raises(UserError, match="the lists of user_genre_shares are empty: name other columns"):
        survey(samples, choose_columns(samples, discrete=[], continuous=["user_genre_shares"]), max_categories=100)
