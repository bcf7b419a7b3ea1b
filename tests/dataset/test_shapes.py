"""The shapes of files that people have: each is read as it is meant, or refused with what to set."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from seqrec.errors import UserError
from tests.dataset.shapes import SHAPES, Shape, detect_shape, found_columns, write_shape


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_the_columns_are_found_or_asked_for(spark: SparkSession, tmp_path: Path, shape: Shape) -> None:
    path = write_shape(shape, tmp_path)
    if isinstance(shape.columns, str):
        with pytest.raises(UserError, match=shape.columns):
            detect_shape(spark, shape, path)
    else:
        assert found_columns(detect_shape(spark, shape, path)) == shape.columns
