"""Checkpoints into exported models, and what refuses to be one."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from jobs import export_onnx as job
from seqrec.errors import UserError
from seqrec.export import export_onnx as exporting
from seqrec.export import item_embeddings
from seqrec.export.export_onnx import Conversion, export, find_export
from seqrec.export.graph import Query, write_graph
from seqrec.export.parity import largest_difference, sample_histories
from seqrec.indices import MASK
from seqrec.models.transformer import Transformer
from seqrec.ragged import Ragged
from seqrec.serving import exports, sealed
from seqrec.serving.exports import locate
from seqrec.serving.model import open_backwards
from seqrec.serving.queries import encode_histories, open_encoder
from seqrec.serving.recommender import Recommender
from seqrec.serving.sealed import verify_files
from seqrec.storage import files, versions
from seqrec.storage.lock import hold
from seqrec.training import checkpoint
from tests.scoring.folders import DATASET, IDS, SHAPE, lineage, write_dataset, write_training

ROOT = Path(__file__).parents[2]


class Places(NamedTuple):
    """A dataset, a model of it, and the model's export."""

    data: str
    model: str
    exported: str


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Places:
    root = tmp_path_factory.mktemp("export")
    data, model = write_dataset(root / "data"), write_training(root / "model")
    return Places(data, model, export(model, data=data).path)


def test_meta_says_what_the_model_is_and_where_it_comes_from(places: Places) -> None:
    meta = json.loads(Path(places.exported, "meta.json").read_text())
    assert meta["name"] == "tiny"
    assert (meta["max_len"], meta["dim"], meta["vocab_size"]) == (5, 8, 6)
    assert meta["encoder"] == {"vocab_size": 6, **SHAPE}
    assert meta["checkpoint"] == {
        "file": "best_step00000007_ndcg10_0.2500.pt",
        "step": 7,
        "epoch": 2,
        "metrics": {"ndcg@10": 0.25},
    }
    assert (meta["run_id"], meta["dataset"], meta["vocabulary"]) == ("20260102T000000Z-0002", DATASET, lineage("v1"))
    assert meta["parity"]["largest_relative_difference"] < 1e-4
    assert "torch" in meta["versions"]


def test_the_graph_computes_the_checkpoint(places: Places) -> None:
    content = checkpoint.load(checkpoint.find(places.model, "best"))
    encoder = Transformer(**content.arguments)
    encoder.load_state_dict(content.model)
    items = torch.tensor([[0, 0, 2], [3, 4, 5], [0, 0, 0]])
    (query,) = open_encoder(f"{places.exported}/encoder.onnx", 1).run(["query"], {"items": items.numpy()})
    np.testing.assert_allclose(query, encoder.eval().query(items).detach().numpy(), rtol=1e-4, atol=1e-6)
    assert np.array_equal(np.load(f"{places.exported}/item_matrix.npy"), content.model["items.weight"].numpy())


def test_two_towers_keep_the_contract(tmp_path: Path) -> None:
    data, model = write_dataset(tmp_path / "data"), write_training(tmp_path / "model", architecture="simplex")
    exported = export(model, data=data).path
    meta = versions.read_meta(exported)
    assert (meta["architecture"], meta["max_len"], meta["dim"]) == ("simplex", 5, 8)
    assert meta["parity"]["largest_relative_difference"] < 1e-4
    matrix = np.load(f"{exported}/item_matrix.npy")
    np.testing.assert_allclose(np.linalg.norm(matrix[2:], axis=1), 1, rtol=1e-6)
    assert np.array_equal(np.array(pq.read_table(f"{exported}/item_embeddings")["embedding"].to_pylist(), np.float32), matrix[2:])
    (query,) = open_encoder(f"{exported}/encoder.onnx", 1).run(["query"], {"items": np.array([[0, 2, 3], [0, 0, 0]])})
    assert np.linalg.norm(query, axis=1) == pytest.approx([1, 0], rel=1e-6)
    recommender = Recommender.load(model)
    assert [item for item, _ in recommender.recommend(["a", "b"], k=2)] == [
        IDS[place] for place in np.argsort(-(matrix[2:] @ query[0])) if IDS[place] not in ("a", "b", "f")
    ][:2]


def test_a_bidirectional_model_has_a_graph_that_looks_backwards(tmp_path: Path) -> None:
    data, model = write_dataset(tmp_path / "data"), write_training(tmp_path / "model", attention="bidirectional")
    exported = export(model, data=data)
    content = checkpoint.load(checkpoint.find(model, "best"))
    encoder = Transformer(**content.arguments)
    encoder.load_state_dict(content.model)
    encoder.eval()
    histories = [[3, 4], [5, 2, 2, 3, 7], [6]]
    expected = [encoder(torch.tensor([[MASK, *items]]))[0, 0].detach().numpy() for items in histories]
    queries = encode_histories(open_backwards(exported, 1), Ragged.of(histories), max_len=5, dim=8)
    np.testing.assert_allclose(queries, expected, rtol=1e-4, atol=1e-6)
    names = [name for name, _ in exported.scoring_files()]
    assert sealed.ENCODER in names
    assert sealed.BACKWARDS not in names
    Path(exported.path, sealed.BACKWARDS).write_bytes(Path(exported.path, sealed.ENCODER).read_bytes())
    with pytest.raises(UserError, match=r"encoder_backwards.onnx is not the file that meta.json names"):
        open_backwards(exported, 1)


def test_a_graph_backwards_that_is_another_fails_the_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, model = write_dataset(tmp_path / "data"), write_training(tmp_path / "model", attention="bidirectional")
    monkeypatch.setattr(exporting, "write_graph", lambda query, *args, **keys: write_graph(Query(query.encoder), *args, **keys))
    with pytest.raises(UserError, match="ONNX Runtime and torch differ by"):
        export(model, data=data)


def test_a_causal_model_does_not_look_backwards(places: Places) -> None:
    with pytest.raises(UserError, match=r"has no encoder_backwards.onnx: only a model that sees both sides"):
        open_backwards(exports.open_export(places.exported), 1)
    with pytest.raises(NotImplementedError, match="predicts what follows alone"):
        Transformer(vocab_size=6, **SHAPE).query_before(torch.tensor([[2, 3]]))


def test_a_head_with_a_bias_keeps_the_contract(tmp_path: Path) -> None:
    """The vectors are one wider than the model, queries end in a 1, and lists follow from their product."""
    data = write_dataset(tmp_path / "data")
    model = write_training(tmp_path / "model", head="cosine", output="separate", output_bias=True)
    exported = export(model, data=data).path
    meta = versions.read_meta(exported)
    assert (meta["dim"], meta["encoder"]["dim"]) == (9, 8)
    matrix = np.load(f"{exported}/item_matrix.npy")
    (query,) = open_encoder(f"{exported}/encoder.onnx", 1).run(["query"], {"items": np.array([[0, 2, 3]])})
    assert query[0, -1] == 1.0
    np.testing.assert_allclose(np.linalg.norm(matrix[2:, :8], axis=1), 1, rtol=1e-6)
    scores = dict(Recommender.load(model).recommend(["a", "b"], k=6))
    expected = {IDS[place]: score for place, score in enumerate(matrix[2:] @ query[0]) if IDS[place] in scores}
    assert {"c", "d", "e"} <= scores.keys()
    assert scores == pytest.approx(expected, rel=1e-5)


def test_item_embeddings_are_the_rows_of_the_matrix(places: Places) -> None:
    rows = pq.read_table(f"{places.exported}/item_embeddings").to_pydict()
    assert rows["item_id"] == IDS
    assert rows["item_idx"] == [2, 3, 4, 5, 6, 7]
    assert np.array_equal(np.array(rows["embedding"], np.float32), np.load(f"{places.exported}/item_matrix.npy")[2:])
    assert Path(places.exported, "item_embeddings", "_SUCCESS").exists()


def test_item2id_has_the_row_of_each_id(places: Places, tmp_path: Path) -> None:
    rows = pq.read_table(f"{places.exported}/item_embeddings").to_pylist()
    copy = tmp_path / "copy"
    shutil.copytree(places.exported, copy)
    item2id = json.loads((copy / "item2id.json").read_text())
    assert item2id == {str(row["item_id"]): row["item_idx"] for row in rows}
    verify_files(str(copy), locate(str(copy)).scoring_files())
    (copy / "item2id.json").write_text("{}")
    with pytest.raises(UserError, match=r"item2id.json is not the file that meta.json names"):
        verify_files(str(copy), locate(str(copy)).scoring_files())


def test_an_export_into_a_folder_of_its_own(places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQREC_ROOT", str(tmp_path))
    output, versions_before = tmp_path / "own", files.names(f"{places.model}/exports")
    conf = ["--conf", str(ROOT / "conf" / "export_onnx.yaml"), f"data={places.data}", f"model={places.model}"]
    for _ in range(2):
        job.main([*conf, f"output={output}"])
    assert files.names(f"{places.model}/exports") == versions_before
    assert locate(str(output)).meta.files == locate(places.exported).meta.files
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    for other in (places.model, tmp_path / "mine"):
        with pytest.raises(SystemExit, match=f"output={other} holds other files than those of an export"):
            job.main([*conf, f"output={other}"])


def test_item_embeddings_are_written_in_groups(tmp_path: Path, places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_embeddings, "GROUP_ROWS", 4)
    vocabulary = pq.read_table(f"{places.exported}/vocabulary.parquet")
    matrix = np.arange(16, dtype=np.float32).reshape(8, 2)
    item_embeddings.write_item_embeddings(matrix, vocabulary, tmp_path / "part.parquet")
    assert pq.ParquetFile(tmp_path / "part.parquet").num_row_groups == 2
    assert pq.read_table(tmp_path / "part.parquet")["embedding"].to_pylist() == matrix[2:].tolist()


def test_the_graph_names_no_place_of_this_machine(places: Places) -> None:
    content = Path(places.exported, "encoder.onnx").read_bytes()
    here = Path(__file__).parents[2]
    assert str(here).encode() not in content
    assert b"stack_trace" not in content


def test_weights_above_the_limit_lie_beside_the_graph(tmp_path: Path) -> None:
    encoder = Transformer(vocab_size=300, **SHAPE).eval()
    write_graph(Query(encoder), tmp_path / "encoder.onnx", max_len=5, opset=18, external_bytes=1000)
    assert (tmp_path / sealed.WEIGHTS).stat().st_size > 300 * 8 * 4
    locations = {
        entry.value
        for tensor in onnx.load(tmp_path / "encoder.onnx", load_external_data=False).graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    assert locations == {sealed.WEIGHTS}
    assert largest_difference(Query(encoder), tmp_path / "encoder.onnx", Ragged.of([[2, 3], [], [9] * 7]), max_len=5) < 1e-4


@pytest.mark.parametrize(
    ("max_len", "attention", "backwards"),
    [(1, "causal", False), (2, "causal", False), (1, "bidirectional", False), (1, "bidirectional", True)],
)
def test_the_shortest_models_export_too(tmp_path: Path, max_len: int, attention: str, backwards: bool) -> None:
    """A bidirectional model of one item has two positions, the second for the mask."""
    encoder = Transformer(vocab_size=6, **{**SHAPE, "max_len": max_len, "attention": attention}).eval()
    query = Query(encoder, backwards=backwards)
    write_graph(query, tmp_path / "encoder.onnx", max_len=max_len, opset=18)
    assert largest_difference(query, tmp_path / "encoder.onnx", Ragged.of([[2, 3], [], [4]]), max_len=max_len) < 1e-4


def test_the_sample_has_an_empty_a_full_and_the_longest_history(places: Places, tmp_path: Path) -> None:
    table = f"{places.data}/{DATASET}/sequences"
    sample = sample_histories(table, users=2, end=7, max_len=5, cache=tmp_path)
    lists = [part.tolist() for part in np.split(sample.values, sample.offsets[1:-1])]
    assert lists[0] == []
    assert len(lists[1]) == 5
    assert [2, 3, 4, 5, 6, 2, 3] in lists  # without 7, which is unknown


def test_another_model_is_seen_as_different(places: Places) -> None:
    torch.manual_seed(99)
    other = Transformer(vocab_size=6, **SHAPE).eval()
    assert largest_difference(Query(other), Path(places.exported, "encoder.onnx"), Ragged.of([[2, 3]]), max_len=5) > 0.1


def test_no_parity_replaces_nothing(tmp_path: Path) -> None:
    data, model = write_dataset(tmp_path / "data"), write_training(tmp_path / "model")
    with pytest.raises(UserError, match="parity_tolerance=1e-30"):
        export(model, data=data, conversion=Conversion(parity_tolerance=1e-30))
    assert sorted(path.name for path in Path(model).iterdir()) == ["checkpoints", "vocabulary.parquet"]


def test_an_export_adds_a_version_and_keeps_the_newest(places: Places, tmp_path: Path) -> None:
    model = write_training(tmp_path / "model")
    first = export(model, data=places.data)
    before = Recommender.load(model)
    folder = exports.locate(model).path
    assert first.meta.export is not None
    assert Path(folder) == tmp_path / "model" / "exports" / first.meta.export
    write_training(tmp_path / "model", seed=2)
    second = export(model, data=places.data, keep=2)
    assert exports.locate(model) == second
    assert Recommender.load(folder).recommend(["a"]) == before.recommend(["a"]) != Recommender.load(model).recommend(["a"])
    third = export(model, data=places.data, keep=2)
    assert set(versions.run_ids(f"{model}/exports")) == {second.meta.export, third.meta.export}
    with pytest.raises(UserError, match=f"has no version {first.meta.export}"):
        exports.locate(folder)


def test_a_failed_export_leaves_the_one_before(places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_training(tmp_path / "model")
    export(model, data=places.data)
    folder, before = exports.locate(model), sorted((tmp_path / "model").rglob("*"))

    def full(source: Path, path: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "put", full)
    with pytest.raises(OSError, match="No space left"):
        export(model, data=places.data)
    assert sorted((tmp_path / "model").rglob("*")) == before
    assert exports.locate(model) == folder


def test_one_export_at_a_time(places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_training(tmp_path / "model")
    monkeypatch.setattr(exporting, "WAIT_S", 0.0)
    message = rf"an export of {model}: held by process {os.getpid()} .*; run it again"
    lock = tmp_path / "model" / "exports" / exporting.LOCK
    with hold(lock, what="", remedy=""), pytest.raises(UserError, match=message):
        export(model, data=places.data)
    assert export(model, data=places.data) == exports.locate(model)


def test_the_files_of_another_training_are_refused(places: Places, tmp_path: Path) -> None:
    """Of the same size: other ids, and the same ids with other counts."""
    model = write_training(tmp_path / "model")
    for column, values in {"item_id": [*IDS[1:], "a"], "count": [1, 2, 7, 7, 1, 0]}.items():
        other = pq.read_table(f"{places.model}/vocabulary.parquet").to_pydict() | {column: values}
        pq.write_table(pa.table(other), tmp_path / "model" / "vocabulary.parquet")
        with pytest.raises(UserError, match=r"last.pt was trained with other items or counts than those in .*vocabulary.parquet"):
            export(model, data=places.data, checkpoint="last")
    assert not (tmp_path / "model" / "exports").exists()


def test_users_of_another_training_are_refused(places: Places, tmp_path: Path) -> None:
    users = np.array([3, 5, 9])
    model = write_training(tmp_path / "model", architecture="simplex", users=users, user_weight=0.5)
    place = tmp_path / "model" / "users.npy"
    for other, message in {(3, 5, 8): "embeddings of other users", (3, 5): "embeddings of 3 users, .* has 2"}.items():
        np.save(place, np.array(other))
        with pytest.raises(UserError, match=message):
            export(model, data=places.data)
    place.unlink()
    with pytest.raises(UserError, match=r"users.npy is missing"):
        export(model, data=places.data)
    np.save(place, users)
    assert "users.npy" in export(model, data=places.data).meta.files


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "transformer9"}, "is of the architecture 'transformer9'"),
        ({"arguments": {"vocab_size": 6, "max_len": 5, "width": 8}}, r"weights don't fit its arguments \("),
        ({"arguments": {"vocab_size": 6, **SHAPE, "dim": 16}}, r"weights don't fit its arguments \("),
        ({"meta": None, "step": None}, r"lacks step, meta.run_id, .*checkpoint=best"),
    ],
)
def test_an_odd_checkpoint_is_one_message(places: Places, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    model = write_training(tmp_path / "model")
    content = checkpoint.load(checkpoint.find(model, "last"))
    checkpoint.save(replace(content, **change), model, "last.pt")
    with pytest.raises(UserError, match=message):
        export(model, data=places.data, checkpoint="last")


def test_a_vocabulary_that_is_missing_or_broken_is_one_message(places: Places, tmp_path: Path) -> None:
    model = write_training(tmp_path / "model")
    path = Path(model, "vocabulary.parquet")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=rf"{path} is broken, or is no Parquet: remove it, and `train` of model={model}, with"):
        export(model, data=places.data)
    path.unlink()
    with pytest.raises(UserError, match=rf"{path} is missing: `train` of model={model}, with .* puts it back from the dataset"):
        export(model, data=places.data)


def test_a_sample_skips_empty_files_and_has_as_many_users_as_asked(places: Places, tmp_path: Path) -> None:
    """Of few users, Spark leaves files empty: the first one here is."""
    source = f"{places.data}/{DATASET}/sequences/part-00000.parquet"
    rows = pq.read_table(source)
    for number, part in enumerate([rows.slice(0, 0), rows]):
        pq.write_table(part, tmp_path / f"part-{number:05d}.parquet")
    counts = {users: len(sample_histories(str(tmp_path), users=users, end=8, max_len=5, cache=tmp_path)) for users in (1, 2, 4)}
    assert counts == {1: 2 + 1, 2: 2 + 2, 4: 2 + 3}, "of 4, the longest is among the spread ones"
    (tmp_path / "part-00001.parquet").unlink()
    assert len(sample_histories(str(tmp_path), users=4, end=8, max_len=5, cache=tmp_path)) == 2


def test_a_checkpoint_of_another_size_is_refused(tmp_path: Path) -> None:
    data, model = write_dataset(tmp_path / "data"), write_training(tmp_path / "model", vocab_size=9)
    with pytest.raises(UserError, match=r"9 items.* has 6"):
        export(model, data=data)


def test_a_checkpoint_from_elsewhere_is_refused(tmp_path: Path) -> None:
    data, model = write_dataset(tmp_path / "data"), write_training(tmp_path / "model")
    other = write_training(tmp_path / "other", vocabulary=lineage("v0", "v1"))
    strange = write_training(tmp_path / "strange", vocabulary=lineage("v9"))
    copy = export(model, data=data, checkpoint=f"{other}/checkpoints/last.pt", into=str(tmp_path / "copy"))
    assert copy.meta.checkpoint is not None
    assert copy.meta.checkpoint["file"] == "last.pt"
    with pytest.raises(UserError, match="another vocabulary"):
        export(strange, data=data, checkpoint=f"{model}/checkpoints/last.pt")
    with pytest.raises(UserError, match="neither extends the other"):
        export(strange, data=data)


def test_a_model_without_checkpoints_is_refused(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    with pytest.raises(UserError, match="run train first"):
        export(str(tmp_path / "nothing"), data=data)


def test_an_opset_that_onnx_runtime_does_not_read_is_refused(places: Places, tmp_path: Path) -> None:
    model = write_training(tmp_path / "model")
    with pytest.raises(
        UserError, match=r"opset=28: ONNX Runtime .* can't open graphs of it: set a lower opset, such as 18"
    ) as raised:
        export(model, data=places.data, conversion=Conversion(opset=28))
    assert "\n" not in str(raised.value)
    assert find_export(model) is None


def test_the_current_export_is_found_only_for_what_it_was_made_of(places: Places, tmp_path: Path) -> None:
    model = write_training(tmp_path / "model")
    assert find_export(model) is None
    exported = export(model, data=places.data)
    assert find_export(model) == exported
    assert find_export(model, checkpoint=checkpoint.find(model, "best")) == exported
    assert find_export(model, checkpoint="last") is None, "another file"
    assert find_export(model, conversion=Conversion(opset=19)) is None
    assert find_export(model, conversion=Conversion(parity_tolerance=1e-30)) is None
    best = checkpoint.load(checkpoint.find(model, "best"))
    for other in (replace(best, step=8), replace(best, meta=best.meta | {"run_id": "20260102T000000Z-0003"})):
        checkpoint.save(other, model, checkpoint.best_name(7, "ndcg@10", 0.25))
        assert find_export(model) is None
    checkpoint.save(best, model, checkpoint.best_name(7, "ndcg@10", 0.25))
    assert find_export(model) == exported
    Path(exported.path, "encoder.onnx").write_bytes(b"")
    assert find_export(model) is None, "damaged"


def test_other_weights_in_a_file_of_the_same_name_are_another_model(places: Places, tmp_path: Path) -> None:
    model = write_training(tmp_path / "model")
    export(model, data=places.data)
    write_training(tmp_path / "model", seed=2)
    assert find_export(model) is None
