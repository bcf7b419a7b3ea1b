"""A ranker's scores that are no numbers."""

from pathlib import Path

import numpy as np
import pytest

from seqrec.errors import UserError
from seqrec.serving.ranker import Ranker
from tests import two_stage


def test_scores_that_are_not_finite_are_an_error_with_a_remedy(tmp_path: Path) -> None:
    two_stage.write_ranker(tmp_path)
    features = np.ones((3, len(two_stage.WEIGHTS)), np.float32)
    features[1] = np.inf  # the weights have both signs, so its sum is NaN
    with pytest.raises(UserError, match="gives scores that aren't finite to 1 of 3 rows: train it again"):
        Ranker.open(str(tmp_path)).score_features(features)
