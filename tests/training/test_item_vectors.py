"""Vectors of items in training: read from tables and arrays, matched, and what a model makes of them.

The items of the tiny dataset stand on a circle. Two more have no events: `cold` has the vector of i5, and `bare` has none.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from seqrec.errors import UserError
from seqrec.export.export_onnx import export
from seqrec.indices import FIRST_ITEM
from seqrec.models.losses import cross_entropy
from seqrec.models.negatives import Uniform
from seqrec.models.transformer import Transformer
from seqrec.serving.recommender import Recommender
from seqrec.settings.train import Train
from seqrec.training import checkpoint
from seqrec.training.item_vectors import ItemVectors, VectorSource, read_item_vectors
from seqrec.training.objective import ItemObjective, LearnedItems
from seqrec.training.tasks import ItemBatch
from seqrec.training.training_data import open_training_data
from seqrec.training.vector_start import nearest_trained, principal_components
from tests.metas import dataset_meta
from tests.training.conftest import MAX_LEN, RUN_ID, V, train, write, write_dataset

Make = Callable[..., Train]
ANGLES = 2 * np.pi * np.arange(V) / V
CIRCLE = np.stack([np.cos(ANGLES), np.sin(ANGLES), np.cos(2 * ANGLES), np.sin(2 * ANGLES), 3 + 0 * ANGLES], axis=1)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """The folder of the tiny dataset, whose vocabulary has two more items, without events."""
    folder = tmp_path / "dataset"
    write_dataset(folder)
    version = folder / RUN_ID
    items = pq.read_table(version / "items")
    more = {"item_id": ["cold", "bare"], "item_idx": pa.array([V + 2, V + 3], pa.int32()), "count": [0, 0]}
    for part in (version / "items").iterdir():
        part.unlink()
    (version / "items").rmdir()
    write(version / "items", [dict(zip(items.column_names, pa.concat_tables([items, pa.table(more)]).columns, strict=True))])
    (version / "meta.json").write_text(json.dumps({**dataset_meta(RUN_ID, size=V + 2), "max_len": MAX_LEN}))
    sequences = {"items": pa.array([[2, 3, 4], [7]], pa.list_(pa.int32()))}
    write(version / "sequences", [sequences])
    return folder


def write_vectors(path: Path, ids: list[Any], vectors: list[Any]) -> str:
    pq.write_table(pa.table({"item_id": ids, "embedding": vectors}), path)
    return str(path)


def circle_vectors(folder: Path) -> str:
    """Vectors of all items but i7 and `bare`, and one of a stranger."""
    ids = [f"i{place}" for place in range(V) if place != 7]
    rows = [CIRCLE[place].tolist() for place in range(V) if place != 7]
    return write_vectors(folder / "vectors.parquet", [*ids, "cold", "stranger"], [*rows, rows[5], rows[0]])


def source_of(path: str, **columns: str) -> VectorSource:
    return VectorSource(**{"path": path, "ids": None, "id": None, "embedding": "embedding", **columns})  # type: ignore[arg-type]


def read(source: VectorSource, dataset: Path, tmp_path: Path) -> ItemVectors:
    return read_item_vectors(source, open_training_data(str(dataset), tmp_path / "a"), tmp_path / "b", says=True)


def test_items_without_a_vector_get_the_mean_of_their_neighbours(
    dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In the windows i7 stands between i6 and i8; nothing is known of `bare`, which gets the mean of all known ones."""
    caplog.set_level("INFO")
    vectors = read(source_of(circle_vectors(tmp_path)), dataset, tmp_path)
    assert vectors.known.tolist() == [*(place != 7 for place in range(V)), True, False]
    assert vectors.trained.tolist() == [True] * V + [False] * 2
    beside = [0, 0]
    for table in (dataset / RUN_ID / "windows").glob("*.parquet"):
        for window in pq.read_table(table)["items"].to_pylist():
            for place, item in enumerate(window):
                if item - FIRST_ITEM == 7:
                    beside[0] += place > 0
                    beside[1] += place + 1 < len(window)
    expected = (beside[0] * CIRCLE[6] + beside[1] * CIRCLE[8]) / sum(beside)
    np.testing.assert_allclose(vectors.matrix[7], expected, rtol=1e-5, atol=1e-6)
    known = np.delete(CIRCLE, 7, axis=0)
    np.testing.assert_allclose(vectors.matrix[V + 1], np.vstack([known, CIRCLE[5]]).mean(axis=0), rtol=1e-4, atol=1e-6)
    assert (
        "92.3 % of 13 vectors are of items of the vocabulary; 12 of its 14 items have one, 1 get the mean of those" in caplog.text
    )
    assert "1 the mean of all; 1 have no training event, but a vector" in caplog.text


def test_arrays_and_text_are_read_as_tables_are(dataset: Path, tmp_path: Path) -> None:
    table = read(source_of(circle_vectors(tmp_path)), dataset, tmp_path)
    content = pq.read_table(tmp_path / "vectors.parquet")
    ids, vectors = content["item_id"].to_pylist(), content["embedding"].to_pylist()
    np.save(tmp_path / "vectors.npy", np.array(vectors))
    (tmp_path / "ids.txt").write_text("\n".join(ids) + "\n")
    (tmp_path / "v.csv").write_text("asin\tvec\n" + "".join(f"{item}\t{row}\n" for item, row in zip(ids, vectors, strict=True)))
    array = read(source_of(str(tmp_path / "vectors.npy"), ids=str(tmp_path / "ids.txt")), dataset, tmp_path)
    text = read(source_of(str(tmp_path / "v.csv"), embedding="vec"), dataset, tmp_path)
    assert table.sha256() == array.sha256() == text.sha256()


@pytest.mark.parametrize(
    ("ids", "vectors", "said"),
    [
        (["i0", "i1"], [[1.0, 2.0], [1.0]], "the vector of i1 has 1 numbers, that of i0 has 2: mend the table"),
        (["i0", "i1"], [[1.0], None], "the vector of i1 has 0 numbers"),
        (["i0", "i1"], [[1.0], [float("nan")]], "1 of 2 vectors aren't finite, such as that of i1"),
        (["x", "y"], [[1.0], [2.0]], r"0 % of its 2 ids \('x', 'y', …\) are items of the vocabulary \('i0', 'i1', 'i2', …\)"),
        (["i0", "i0"], [[1.0], [2.0]], "1 ids repeat: keep one vector an item"),
        (["i0", "i1"], [1.0, 2.0], r"the vectors are double, expected lists of numbers: set item_vectors\.embedding=COLUMN"),
        (["i0", "i1"], [["a"], ["b"]], "the vectors are list<.*string>, expected lists of numbers"),
        (["i0", "i1"], ["[1, 2]", "[1, b]"], "the vector of i1 isn't one"),
    ],
)
def test_vectors_that_cannot_be_used_are_refused(
    dataset: Path, tmp_path: Path, ids: list[str], vectors: list[Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        read(source_of(write_vectors(tmp_path / "vectors.parquet", ids, vectors)), dataset, tmp_path)


def test_an_array_needs_as_many_ids(dataset: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", CIRCLE)
    with pytest.raises(UserError, match=r"says no ids: set item_vectors\.ids=FILE"):
        read(source_of(str(tmp_path / "vectors.npy")), dataset, tmp_path)
    (tmp_path / "ids.txt").write_text("i0\ni1\n")
    with pytest.raises(UserError, match=r"ids\.txt has 2 ids, .* has 12 rows: give an id for each row"):
        read(source_of(str(tmp_path / "vectors.npy"), ids=str(tmp_path / "ids.txt")), dataset, tmp_path)


@pytest.mark.parametrize("use", ["project", "initialise"])
def test_an_item_that_nobody_had_is_recommended_where_its_like_is(
    settings: Make, dataset: Path, tmp_path: Path, use: str
) -> None:
    """After i3 and i4 comes i5, and beside it `cold`, whose vector is that of i5; `bare` is never recommended."""
    path = circle_vectors(tmp_path)
    setting = settings(data=str(dataset), max_epochs=12, item_vectors={"path": path, "use": use})
    train(setting)
    export(setting.model, data=str(dataset))
    recommender = Recommender.load(setting.model)
    found = [item for item, _ in recommender.recommend(["i3", "i4"], k=V + 2)]
    assert found.index("i5") < 3
    assert found.index("cold") < 4
    assert "bare" not in found
    assert "cold" in [item for item, _ in recommender.neighbours("i5", k=2)]
    assert [item for item, _ in recommender.recommend([], k=V + 2)].count("cold") == 0


def test_spark_reads_the_column_that_marks_items_with_a_vector(dataset: Path, tmp_path: Path) -> None:
    """Spark notes the columns that it wrote in a file, and reads no others from one with these notes: the vocabulary has none."""
    data = open_training_data(str(dataset), tmp_path / "cache")
    noted = data.items.replace_schema_metadata({"org.apache.spark.sql.parquet.row.metadata": "{}"})
    marked = replace(data, items=noted).with_vectors(np.ones(len(noted), bool)).items
    assert (marked.schema.metadata, marked.column_names[-1]) == (None, "vector")


@pytest.mark.parametrize("use", ["project", "initialise"])
def test_a_training_with_vectors_resumes_to_the_same_weights(settings: Make, dataset: Path, tmp_path: Path, use: str) -> None:
    vectors = {"path": circle_vectors(tmp_path), "use": use}
    whole, parts = (settings(data=str(dataset), model=f"{tmp_path}/{name}", item_vectors=vectors) for name in ("one", "two"))
    train(whole.model_copy(update={"max_epochs": 2}))
    for epochs in (1, 2):
        train(parts.model_copy(update={"max_epochs": epochs}))
    weights = [checkpoint.load(checkpoint.find(made.model, "last")).model for made in (whole, parts)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    other = write_vectors(tmp_path / "other.parquet", ["i0", "i1", "i2"], [[1.0, 0.5], [0.0, 1.0], [2.0, 2.0]])
    with pytest.raises(UserError, match="item_vectors"):
        train(parts.model_copy(update={"item_vectors": parts.item_vectors.model_copy(update={"path": other})}))


def test_a_separate_output_takes_no_vectors(settings: Make) -> None:
    with pytest.raises(ValueError, match=r"item_vectors enter a tied output alone: set encoder\.output=tied"):
        Train.model_validate({**settings().model_dump(), "encoder": {"output": "separate"}, "item_vectors": "vectors.parquet"})


def test_rows_begin_at_the_vectors_as_large_as_drawn_ones() -> None:
    """Of two dimensions, the one of larger variance comes first; the constant third is gone, and signs are fixed."""
    matrix = np.array([[0.0, 10.0, 7.0], [1.0, -10.0, 7.0], [0.0, -10.0, 7.0], [1.0, 10.0, 7.0]], np.float32)
    reduced = principal_components(matrix, dim=2)
    np.testing.assert_allclose(reduced.std(), 1, rtol=1e-6)
    np.testing.assert_allclose(reduced[:, 0] / reduced[0, 0], [1, -1, -1, 1], rtol=1e-5)
    np.testing.assert_allclose(np.abs(reduced[:, 1] / reduced[0, 0]), 0.05, rtol=1e-4)


def test_the_nearest_trained_items_are_those_of_largest_cosine() -> None:
    """Of place 3 the cosines with 0, 1 and 2 are 1, 0.6 and 0: shares of two are (1 - 0) and (0.6 - 0) of 1.6."""
    matrix = np.array([[2.0, 0.0], [0.6, 0.8], [0.0, 3.0], [1.0, 0.0]], np.float32)
    trained = np.array([True, True, True, False])
    places, shares = nearest_trained(ItemVectors(matrix=matrix, known=trained, trained=trained), np.array([3]), count=2)
    assert places.tolist() == [[0, 1]]
    np.testing.assert_allclose(shares, [[1 / 1.6, 0.6 / 1.6]], rtol=1e-4)


@pytest.mark.parametrize("outside", [False, True])
def test_items_without_an_event_are_no_negatives(outside: bool) -> None:
    """Item 3 of 5 has no event: the loss is that of a matrix without its row, and its row has no gradient."""
    torch.manual_seed(0)
    model = Transformer(vocab_size=5, max_len=4, dim=4, blocks=1, heads=1, ffn=1, dropout=0.0).eval()
    counts = torch.tensor([3, 2, 1, 0, 4])
    learned = LearnedItems.of(counts)
    assert learned is not None
    batch = ItemBatch(
        torch.tensor([[0, 2, 3], [4, 2, 6]]), torch.tensor([[0, 3, 6], [2, 6, 4]]), torch.zeros(2, dtype=torch.int64)
    )
    objective = ItemObjective(model, loss=cross_entropy, sampler=None, learned=learned)
    loss = objective(batch).sum
    hidden, matrix = model(batch.inputs), model.item_matrix()
    expected = 0.0
    for row, place in ((0, 1), (0, 2), (1, 0), (1, 1), (1, 2)):
        scores = matrix[[2, 3, 4, 6]] @ hidden[row, place]
        expected += float(scores.logsumexp(0) - matrix[batch.targets[row, place]] @ hidden[row, place])
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    loss.backward()
    gradient = model.items.weight.grad
    assert gradient is not None
    assert not gradient[5].any()
    assert gradient[6].any()
    drawn: list[torch.Tensor] = []

    def spy(predictions: Any, matrix: torch.Tensor, *, sampler: Callable[..., torch.Tensor]) -> torch.Tensor:
        drawn.append(sampler((5, 40), matrix.device))
        return cross_entropy(predictions, matrix)

    ItemObjective(model, loss=spy, sampler=Uniform(vocab_size=4), outside_windows=outside, learned=learned)(batch)
    assert set(drawn[0].flatten().tolist()) <= {2, 3, 4, 5}
    if outside:  # but for the few that 20 draws leave, 4 is what the first window lacks, and 3 what the second does
        assert (int(drawn[0][:2].median()), int(drawn[0][2:].median())) == (4, 3)
    older = batch._replace(older=torch.tensor([[0, 4], [3, 6]]))
    taught: list[Any] = []

    def kept(predictions: Any, matrix: torch.Tensor) -> torch.Tensor:
        taught.append(predictions.excluded)
        return cross_entropy(predictions, matrix)

    ItemObjective(model, loss=kept, sampler=None, exclude_seen=True, learned=learned)(older)
    assert taught[0].tolist() == [[0, 4, 0, 2, 0], [0, 4, 0, 2, 3], [3, 5, 4, 0, 0], [3, 5, 4, 2, 0], [3, 5, 4, 2, 5]]
    assert LearnedItems.of(counts + 1) is None
