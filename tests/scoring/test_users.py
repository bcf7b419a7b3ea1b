"""A model with embeddings of users, exported, scored by Spark and from code: known users get theirs, others the history alone."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from pyspark.sql import SparkSession

from seqrec.export.export_onnx import export
from seqrec.models.simplex import SimpleX
from seqrec.scoring.lists import ListSettings
from seqrec.scoring.shipping import ship
from seqrec.scoring.udf import embed_users, rank_users, recommend_udf, recommend_users
from seqrec.serving.recommender import Recommender
from seqrec.storage import versions
from seqrec.training import checkpoint
from seqrec.user_hashes import hash_ids
from tests.scoring.folders import write_dataset, write_training

KNOWN, STRANGER, HISTORY = [11, 4], 5, [3, 2]


def test_scoring_knows_its_users(spark: SparkSession, tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    hashes = np.sort(hash_ids(pa.array(KNOWN)))
    folder = write_training(tmp_path / "model", architecture="simplex", users=hashes, user_weight=0.9)
    exported = export(folder, data=data)
    assert versions.read_meta(exported.path)["inputs"] == ["items", "user_idx"]
    assert "users.npy" in exported.meta.files

    content = checkpoint.load(checkpoint.find(folder, "best"))
    model = SimpleX(**content.arguments).eval()
    model.load_state_dict(content.model)
    place = {user: int(np.searchsorted(hashes, hash_ids(pa.array([user]))[0])) + 1 for user in KNOWN} | {STRANGER: 0}
    expected = {user: model.query(torch.tensor([HISTORY]), torch.tensor([at]))[0].detach().numpy() for user, at in place.items()}

    rows = [(user, HISTORY, HISTORY, [5]) for user in expected]
    table = spark.createDataFrame(rows, "user_id bigint, items array<int>, seen array<int>, targets array<int>")
    shipped = ship(spark, exported)
    found = {row["user_id"]: row["embedding"] for row in embed_users(table, model=shipped).collect()}
    for user, query in expected.items():
        np.testing.assert_allclose(found[user], query, atol=1e-6)
    lists = {row["user_id"]: row["items"] for row in recommend_users(table, model=shipped, lists=ListSettings(top_k=3)).collect()}
    recommend = recommend_udf(folder, top_k=3)("items", "seen", "user_id")
    column = table.select("user_id", recommend.alias("lists")).selectExpr("user_id", "arrays_zip(lists.item_id, lists.score)")
    assert {row[0]: row[1] for row in column.collect()} == lists
    ranks = {row["user_id"]: row["ranks"] for row in rank_users(table, model=shipped).collect()}
    matrix = model.item_matrix().detach().numpy()
    recommender = Recommender.load(folder)
    for user, query in expected.items():
        scores = matrix @ query
        assert ranks[user] == [1 + sum(scores[item] >= scores[5] for item in (4, 6, 7))]
        alone = recommender.recommend([recommender.model.ids[item - 2].as_py() for item in HISTORY], k=3, user=user)
        assert [item for item, _ in alone] == [entry["item_id"] for entry in lists[user]]
    ids = recommender.model.ids
    history = [ids[item - 2].as_py() for item in HISTORY]
    assert recommender.recommend(history, k=3) == recommender.recommend(history, k=3, user=STRANGER)
    assert recommender.recommend(history, k=3) != recommender.recommend(history, k=3, user=KNOWN[0])
