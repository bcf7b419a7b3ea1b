"""A sentence model on ONNX Runtime: a graph and a tokenizer.

    with sentence_files("minilm", file=None) as found:
        SentenceModel(found).encode(["Heat (1995). Genres: Crime"])     # (1, 384), rows of length 1

The first output has a vector for each token, whose mean over the text is taken unless the model's pooling says otherwise (Reimers
and Gurevych 2019, section 3); an output `sentence_embedding` is taken as it is.

Texts run one by one. A quantised graph scales its activations by the batch, and padding changes sums, so in batches a vector
would depend on its neighbours. MiniLM takes 5 to 11 ms for a title on one core of an AMD EPYC.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from seqrec.errors import UserError

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
POOLED = "sentence_embedding"
POOL: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {  # (L, D) -> (D,)
    "mean": lambda tokens: tokens.mean(axis=0),
    "max": lambda tokens: tokens.max(axis=0),
    "cls": lambda tokens: tokens[0],
}
REMEDY = "pip install 'seqrec[text]', or set model=null for TF-IDF"


@dataclass(frozen=True, kw_only=True)
class SentenceFiles:
    """The files of a sentence model in a local folder, their names relative to it; pooling is mean, cls or max."""

    folder: str
    graph: str
    tokenizer: str
    pooling: str
    most_tokens: int

    @property
    def names(self) -> list[str]:
        """The names of the files that are opened: the tokenizer, the graph, and weights beside it."""
        graph = Path(self.folder, self.graph)
        weights = [path for path in graph.parent.glob(f"{graph.name}*") if path.suffix != ".onnx"]
        return sorted({self.tokenizer, self.graph, *(path.relative_to(self.folder).as_posix() for path in weights)})


class SentenceModel:
    """An opened sentence model."""

    def __init__(self, found: SentenceFiles, *, threads: int = 1) -> None:
        """Open graph and tokenizer; UserError if the package tokenizers isn't installed, or the graph wants other inputs."""
        self.pooling = found.pooling
        self._tokenizer = _open_tokenizer(str(Path(found.folder, found.tokenizer)), found.most_tokens)
        self._session = _open_graph(str(Path(found.folder, found.graph)), threads)
        self._inputs = [node.name for node in self._session.get_inputs()]
        outputs = [node.name for node in self._session.get_outputs()]
        self._output = POOLED if POOLED in outputs else outputs[0]
        if others := set(self._inputs) - set(INPUTS):
            raise UserError(f"{found.graph} has inputs {', '.join(sorted(others))}: a sentence model takes {', '.join(INPUTS)}")

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """texts (N) -> vectors (N, D) of length 1; bits depend on the text alone."""
        return np.stack([self._encode_one(text) for text in texts])

    def _encode_one(self, text: str) -> NDArray[np.float32]:
        """A text's vector (D,)."""
        encoding = self._tokenizer.encode(text)
        lists = dict(zip(INPUTS, (encoding.ids, encoding.attention_mask, encoding.type_ids), strict=True))
        feed = {name: np.array([lists[name]], np.int64) for name in self._inputs}
        output = np.asarray(self._session.run([self._output], feed)[0][0], np.float32)  # (L, D), or (D,) if pooled
        vector: NDArray[np.float32] = POOL[self.pooling](output) if output.ndim == 2 else output
        return vector / max(float(np.linalg.norm(vector)), 1e-12)


@lru_cache(maxsize=1)
def open_sentence_model(found: SentenceFiles, threads: int) -> SentenceModel:
    """The model, opened once per process."""
    return SentenceModel(found, threads=threads)


def _open_tokenizer(path: str, most_tokens: int) -> Any:
    """The tokenizer of a file, without padding."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise UserError(f"a sentence model needs the package tokenizers: {REMEDY}") from None
    try:
        tokenizer = Tokenizer.from_file(path)
    except Exception as error:  # the package raises plain Exception
        raise UserError(f"{path} is no tokenizer ({error}): copy the model again") from None
    tokenizer.no_padding()
    tokenizer.enable_truncation(most_tokens)
    return tokenizer


def _open_graph(path: str, threads: int) -> onnxruntime.InferenceSession:
    """The session of a graph."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common class
        raise UserError(f"{path} is no graph that ONNX Runtime opens ({' '.join(str(error).split())}): export it again") from None
