"""Answers of services on disk, a file a request: what was answered once isn't asked again.

A file is named by the hash of what was asked, and is there whole or not at all, however the process ends. Keys that open a
service are no part of it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from seqrec.storage import files


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a service is asked: an address, and parameters of it or, of a POST, a body that is sent as JSON."""

    url: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None

    @property
    def digest(self) -> str:
        """The SHA-256 of it, as 64 hexadecimal digits."""
        content = {"url": self.url, "parameters": dict(self.parameters), "body": self.body}
        return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


@dataclass(frozen=True)
class Answers:
    """The answers in a folder, FOLDER/FIRST TWO DIGITS/DIGEST.json."""

    folder: str

    def read(self, question: Question) -> Any:
        """The answer, as JSON says it; None if there is none, or the file is broken."""
        try:
            content = json.loads(files.read_text(self._path(question)))
        except (FileNotFoundError, ValueError):
            return None
        return content.get("answer") if isinstance(content, dict) else None

    def write(self, question: Question, answer: Any) -> None:
        """Keep an answer, with what was asked and when."""
        content = {
            "url": question.url,
            "parameters": dict(question.parameters),
            "body": question.body,
            "asked": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "answer": answer,
        }
        files.write_text(self._path(question), json.dumps(content, indent=1) + "\n")

    def _path(self, question: Question) -> str:
        """The file of a question's answer."""
        return files.join(self.folder, question.digest[:2], f"{question.digest}.json")
