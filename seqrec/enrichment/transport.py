"""One HTTP request: a time limit for the whole of it, a limit of the answer's size, and no redirects.

A redirect could carry a key to another host, so it is an answer like any other.
"""

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import IO, Any, NamedTuple

from seqrec.enrichment.answers import Question

MOST_BYTES = 16 << 20  # of an answer
PIECE = 1 << 16
EXCERPT_BYTES = 4096  # more than is shown, so that a key isn't cut before it is hidden
NO_ANSWER = (OSError, http.client.HTTPException)  # what `send` raises where there is no whole answer


class Response(NamedTuple):
    """An answer: its status, its content, and the seconds after which the service wants to be asked again."""

    status: int
    content: bytes
    retry_after: float | None = None
    key: str | None = None  # which an answer may repeat, and no message does

    @property
    def excerpt(self) -> str:
        """The beginning of the content on one line and without the key, for messages."""
        text = self.content[:EXCERPT_BYTES].decode(errors="replace")
        return " ".join((text.replace(self.key, "***") if self.key else text).split())[:160]


@dataclass(frozen=True, kw_only=True)
class Headers:
    """What every request to a service says: who asks, and the key; `public` can be shown, the key never is."""

    public: Mapping[str, str]
    key: str | None = None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Redirects are answers."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        """Follow nothing."""


_opener = urllib.request.build_opener(_NoRedirects())


def send(question: Question, headers: Headers, *, timeout_s: float) -> Response:
    """The answer to a question, whatever its status; one of NO_ANSWER if none comes within the time, or it is too large."""
    query = urllib.parse.urlencode(question.parameters)
    data = None if question.body is None else json.dumps(question.body).encode()
    kind = {} if data is None else {"Content-Type": "application/json"}
    request = urllib.request.Request(
        f"{question.url}?{query}" if query else question.url,
        data=data,
        headers={"Accept": "application/json", **headers.public, **kind},
    )
    if headers.key is not None:
        request.add_unredirected_header("Authorization", f"Bearer {headers.key}")
    until = time.monotonic() + timeout_s
    try:
        with _opener.open(request, timeout=timeout_s) as answer:
            return Response(answer.status, _read(answer, until), key=headers.key)
    except urllib.error.HTTPError as error:
        with error:
            return Response(error.code, _read(error, until), _retry_after(error.headers), headers.key)


def _read(answer: Any, until: float) -> bytes:
    """The content of an answer; TimeoutError if it isn't whole in time, OSError if it is too large."""
    pieces, size = [], 0
    while piece := answer.read1(PIECE) if hasattr(answer, "read1") else answer.read(PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > MOST_BYTES:
            raise OSError(f"the answer has more than {MOST_BYTES >> 20} MiB")
        if time.monotonic() > until:
            raise TimeoutError("timed out")
    return b"".join(pieces)


def _retry_after(headers: Message) -> float | None:
    """The seconds of a header Retry-After, which are a number or a date; None without one, or where it is neither."""
    text = str(headers.get("Retry-After", "")).strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
