"""Sentence models: the files of a folder or an archive, and vectors against a naive loop."""

import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from seqrec.errors import UserError
from seqrec.texts.sentence_files import hash_model, sentence_files
from seqrec.texts.sentences import SentenceModel

WORDS = ("[UNK]", "red", "car", "bus", "blue")
TABLE = np.random.default_rng(5).standard_normal((len(WORDS), 3)).astype(np.float32)


def write_model(
    folder: Path, *, graph: str = "onnx/model.onnx", inputs: tuple[str, ...] = ("input_ids", "attention_mask")
) -> Path:
    """A model whose tokens have the rows of TABLE as vectors, and a tokenizer of words, as Hugging Face writes it."""
    (folder / graph).parent.mkdir(parents=True, exist_ok=True)
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])]
    shapes = [helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "l"]) for name in inputs]
    output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["b", "l", 3])
    made = helper.make_graph(nodes, "toy", shapes, [output], [numpy_helper.from_array(TABLE, "table")])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(model, folder / graph)
    tokenizer = {
        "version": "1.0",
        "pre_tokenizer": {"type": "Whitespace"},
        "normalizer": {"type": "Lowercase"},
        "model": {"type": "WordLevel", "vocab": {word: place for place, word in enumerate(WORDS)}, "unk_token": "[UNK]"},
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return folder


def write_pooling(folder: Path, **modes: bool) -> None:
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 3, **modes}))


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_vectors_are_those_of_a_naive_loop(tmp_path: Path, pooling: str) -> None:
    """The fifth word is beyond the most tokens, and a word that isn't known is [UNK]."""
    pytest.importorskip("tokenizers", reason="the extra `text` isn't installed: pip install -e '.[text]'")
    folder = write_model(tmp_path)
    write_pooling(
        folder,
        **{f"pooling_mode_{name}{'_token' if name == 'cls' else '_tokens'}": name == pooling for name in ("mean", "cls", "max")},
    )
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 4}')
    with sentence_files(str(folder), file=None) as found:
        model = SentenceModel(found)
    texts = {"red car": [1, 2], "Bus": [3], "blue boat red car bus": [4, 0, 1, 2]}
    expected = []
    for tokens in texts.values():
        rows = TABLE[tokens]
        vector = {"mean": sum(rows) / len(rows), "cls": rows[0], "max": np.array([max(column) for column in rows.T])}[pooling]
        expected.append(vector / np.sqrt(sum(value**2 for value in vector)))
    together, alone = model.encode(list(texts)), np.concatenate([model.encode([text]) for text in texts])
    np.testing.assert_allclose(together, expected, rtol=1e-6)
    assert np.array_equal(together, alone)


def test_an_archive_has_the_hash_of_its_folder_and_another_graph_has_not(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", graph="toy.onnx")
    with zipfile.ZipFile(tmp_path / "model.jar", "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "")
        for name in ("toy.onnx", "tokenizer.json"):
            archive.write(folder / name, name)
    with sentence_files(str(folder), file=None) as found:
        digest = hash_model(found)
        assert (found.graph, found.pooling, found.most_tokens) == ("toy.onnx", "mean", 256)
    with sentence_files(str(tmp_path / "model.jar"), file=None) as found:
        assert hash_model(found) == digest
    (folder / "toy.onnx").write_bytes(b"another")
    with sentence_files(str(folder), file=None) as found:
        assert hash_model(found) != digest


def test_the_graph_is_the_usual_one_or_the_one_asked_for(tmp_path: Path) -> None:
    folder = write_model(write_model(tmp_path), graph="onnx/model_quantized.onnx")
    for file, graph in ((None, "onnx/model.onnx"), ("onnx/model_quantized.onnx", "onnx/model_quantized.onnx")):
        with sentence_files(str(folder), file=file) as found:
            assert found.graph == graph
            assert found.names == [graph, "tokenizer.json"]


@pytest.mark.parametrize(
    ("broken", "file", "said"),
    [
        ("gone", None, "model=.*: no such folder; give one with tokenizer.json"),
        ("no tokenizer", None, r"needs one tokenizer\.json, it has none"),
        ("two graphs", None, r"needs one ONNX graph, it has a\.onnx, b\.onnx: .* set model_file=FILE"),
        ("plain", "c.onnx", r"has no c\.onnx, which model_file names; it has onnx/model\.onnx"),
        ("text", None, "is no folder and no ZIP or jar"),
        ("pooling", None, r"1_Pooling/config\.json asks for another one as its pooling"),
        ("json", None, "sentence_bert_config.json is no JSON object"),
    ],
)
def test_a_folder_that_holds_no_model_is_refused(tmp_path: Path, broken: str, file: str | None, said: str) -> None:
    path = tmp_path / "model"
    if broken == "text":
        path.write_text("no model")
    elif broken != "gone":
        write_model(path)
    if broken == "no tokenizer":
        (path / "tokenizer.json").unlink()
    if broken == "two graphs":
        (path / "onnx" / "model.onnx").rename(path / "a.onnx")
        write_model(path, graph="b.onnx")
    if broken == "pooling":
        write_pooling(path, pooling_mode_lasttoken=True)
    if broken == "json":
        (path / "sentence_bert_config.json").write_text("[1")
    with pytest.raises(UserError, match=said), sentence_files(str(path), file=file):
        pass


def test_a_graph_with_other_inputs_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="the extra `text` isn't installed: pip install -e '.[text]'")
    folder = write_model(tmp_path, inputs=("input_ids", "pixel_values"))
    with (
        sentence_files(str(folder), file=None) as found,
        pytest.raises(UserError, match="has inputs pixel_values: a sentence model"),
    ):
        SentenceModel(found)


def test_without_the_extra_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with (
        sentence_files(str(write_model(tmp_path)), file=None) as found,
        pytest.raises(UserError, match=r"pip install 'seqrec\[text\]'"),
    ):
        SentenceModel(found)
