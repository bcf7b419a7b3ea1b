"""A service on the web, asked politely: at a bounded rate, again after a failure, and no more after too many.

    with the answer on disk           it isn't asked
    429, 503, 5xx, no answer          asked again: after Retry-After, else after backoff_s, 2 backoff_s, 4 backoff_s, …
    an answer that can't be read      asked again; then the item has failed, and the next run asks again
    401, 403, 404, a redirect         the run ends: each further request would be answered alike
    max_failures items in a row       the run ends; what was answered stays on disk

An answer is kept only when it could be read, so that nothing wrong is asked once and believed forever.
"""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from seqrec.command.screen import counted, duration
from seqrec.enrichment.answers import Answers, Question
from seqrec.enrichment.transport import NO_ANSWER, Headers, Response, send
from seqrec.errors import UserError

log = logging.getLogger("seqrec")

AGAIN = (408, 425, 429)  # statuses below 500 after which a service is asked again
HOPELESS = {
    401: "the key is refused",
    403: "access is refused",
    404: "there is nothing at this address",
    405: "it takes no such request",
}
T = TypeVar("T")


class UnreadableAnswerError(Exception):
    """An answer that isn't what the service promises."""


class FailedRequestError(Exception):
    """A request that failed as often as it may; the run goes on with the next item."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How a service is asked: how often, how long, how many times, and when it is left alone."""

    requests_per_second: float
    timeout_s: float
    attempts: int
    backoff_s: float
    max_wait_s: float
    max_failures: int


@dataclass(kw_only=True)
class Service:
    """A service, its answers on disk, and what was asked of it in this run. `name` is the settings' key."""

    name: str
    headers: Headers
    limits: Limits
    answers: Answers
    refresh: bool = False
    requests: int = 0
    cached: int = 0
    failures: int = 0  # in a row
    _next: float = field(default=0.0, repr=False)
    _fresh: set[str] = field(default_factory=set, repr=False)  # asked in this run, by digest

    def ask(self, question: Question, read: Callable[[Any], T]) -> T:
        """What `read` makes of the answer in JSON: of the one on disk, else of a new one, which is kept.

        `read` raises UnreadableAnswerError for content of another shape. Raises FailedRequestError if all attempts fail, and
        UserError where it is useless to go on.
        """
        if not self.refresh or question.digest in self._fresh:
            try:
                if (answer := self.answers.read(question)) is not None:
                    result = read(answer)
                    self.cached += 1
                    return result
            except UnreadableAnswerError as error:
                log.debug("%s: an answer on disk can't be read (%s), it is asked again", self.name, error)
        answer, result = self._attempts(question, read)
        self.answers.write(question, answer)
        self._fresh.add(question.digest)
        self.failures = 0
        return result

    def _attempts(self, question: Question, read: Callable[[Any], T]) -> tuple[Any, T]:
        """An answer and what is read of it, after as many attempts as it takes, and may take."""
        host, reason = urlsplit(question.url).netloc, ""
        for attempt in range(self.limits.attempts):
            self._wait_turn()
            self.requests += 1
            wait = self.limits.backoff_s * 2**attempt
            try:
                response = send(question, self.headers, timeout_s=self.limits.timeout_s)
                if response.status == 200:
                    answer = _json(response)
                    return answer, read(answer)
                reason = self._status(response, host)
                wait = wait if response.retry_after is None else response.retry_after
                if response.status < 500 and response.status not in AGAIN:
                    break
            except UnreadableAnswerError as error:
                reason = self._hidden(str(error))
            except NO_ANSWER as error:
                reason = self._hidden(_no_answer(error))
            if attempt + 1 < self.limits.attempts:
                self._wait(wait, host, reason)
        raise self._failed(host, reason)

    def _failed(self, host: str, reason: str) -> FailedRequestError:
        """The error of an item whose attempts all failed; UserError where that makes too many in a row."""
        self.failures += 1
        log.warning("%s: %s (request %d of this run)", host, reason, self.requests)
        if self.failures >= self.limits.max_failures:
            raise UserError(
                f"{host} failed for {counted(self.failures, 'item')} in a row, the last time: {reason}; it isn't asked any more. "
                f"What was answered is kept: run the same command later, or look at {self.name}.base_url and the network"
            )
        return FailedRequestError(reason)

    def _status(self, response: Response, host: str) -> str:
        """What is wrong by a status; UserError where each further request would be answered alike."""
        said = self._hidden(f"status {response.status}" + (f" ({response.excerpt})" if response.excerpt else ""))
        if 300 <= response.status < 400:
            raise UserError(f"{host} answers with a redirect, {said}: set {self.name}.base_url to where it leads")
        if response.status in HOPELESS:
            remedy = f"look at {self.name}.base_url" + (f" and {self.name}.key_variable" if self.headers.key else "")
            raise UserError(f"{host} answers {said}: {HOPELESS[response.status]}; {remedy}")
        return said

    def _hidden(self, text: str) -> str:
        """A text without the key, which some services repeat."""
        return text.replace(self.headers.key, "***") if self.headers.key else text

    def _wait(self, seconds: float, host: str, reason: str) -> None:
        """Wait before the next attempt; UserError for a longer time than max_wait_s."""
        if seconds > self.limits.max_wait_s:
            raise UserError(
                f"{host} wants to be left alone for {duration(seconds)} ({reason}), {self.name}.max_wait_s is "
                f"{self.limits.max_wait_s:g}: what was answered is kept, so run the same command then"
            )
        log.debug("%s: %s; asked again in %s", host, reason, duration(seconds))
        time.sleep(seconds)

    def _wait_turn(self) -> None:
        """Wait until the next request may begin."""
        now = time.monotonic()
        time.sleep(max(0.0, self._next - now))
        self._next = max(now, self._next) + 1 / self.limits.requests_per_second


def _json(response: Response) -> Any:
    """The content as JSON; UnreadableAnswerError if it is none."""
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        raise UnreadableAnswerError(f"the answer is no JSON ({response.excerpt or 'it is empty'})") from None


def _no_answer(error: Exception) -> str:
    """Why there was no answer, in words."""
    cause = getattr(error, "reason", error)
    if isinstance(cause, TimeoutError):
        return "no answer in time"
    return f"no answer: {getattr(cause, 'strerror', None) or str(cause) or type(cause).__name__}"
