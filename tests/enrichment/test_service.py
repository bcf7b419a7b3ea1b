"""A service that fails: what is asked again, what is counted, and when the run ends."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from seqrec.enrichment.answers import Answers, Question
from seqrec.enrichment.service import FailedRequestError, Limits, Service, UnreadableAnswerError
from seqrec.enrichment.transport import Headers
from seqrec.errors import UserError
from tests.enrichment.services import Failure, Services

LIMITS = Limits(requests_per_second=1000, timeout_s=5, attempts=3, backoff_s=0.01, max_wait_s=2, max_failures=2)


@pytest.fixture
def service_of(services: Services, tmp_path: Path) -> Callable[..., Service]:
    """A service with LIMITS, but those that are given."""

    def make(*, refresh: bool = False, key: str | None = None, **limits: float) -> Service:
        return Service(
            name="wikipedia",
            headers=Headers(public={"User-Agent": "seqrec-test"}, key=key),
            limits=replace(LIMITS, **limits),  # type: ignore[arg-type] # numbers
            answers=Answers(str(tmp_path / "cache")),
            refresh=refresh,
        )

    return make


def question(services: Services, words: str = "Heat") -> Question:
    return Question(url=services.wikipedia, parameters={"action": "query", "list": "search", "srsearch": words, "srlimit": "5"})


def titles(answer: Any) -> list[str]:
    if "query" not in answer:
        raise UnreadableAnswerError("no query")
    return [row["title"] for row in answer["query"]["search"]]


@pytest.mark.parametrize(
    "failure",
    [
        Failure(status=500),
        Failure(status=503, headers={"Retry-After": "0"}),
        Failure(content=b"<html>"),
        Failure(content=b""),
        Failure(content=b'{"error": {"code": "ratelimited"}}'),
        Failure(wait_s=1.0),
    ],
    ids=["500", "503", "HTML", "empty", "MediaWiki's error", "time-out"],
)
def test_what_fails_once_is_asked_again(services: Services, service_of: Callable[..., Service], failure: Failure) -> None:
    services.failures = [failure]
    service = service_of(timeout_s=0.4)
    assert "Heat (1995 film)" in service.ask(question(services), titles)
    assert (service.requests, service.failures) == (2, 0)


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_obeyed(services: Services, service_of: Callable[..., Service], as_date: bool) -> None:
    """A date has whole seconds, so that up to one second of the two is gone."""
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True) if as_date else "1"
    services.failures = [Failure(status=429, headers={"Retry-After": when})]
    service_of().ask(question(services), titles)
    assert services.times[1] - services.times[0] >= 0.9


def test_a_long_retry_after_ends_the_run(services: Services, service_of: Callable[..., Service]) -> None:
    services.failures = [Failure(status=429, headers={"Retry-After": "3600"})]
    with pytest.raises(UserError, match=r"127\.0\.0\.1:\d+ wants to be left alone for 1 h .*wikipedia.max_wait_s is 2"):
        service_of().ask(question(services), titles)
    assert services.asked == 1


def test_requests_keep_their_distance(services: Services, service_of: Callable[..., Service]) -> None:
    service = service_of(requests_per_second=10)
    for words in ("a", "b", "c", "d"):
        service.ask(question(services, words), titles)
    gaps = [later - earlier for earlier, later in zip(services.times, services.times[1:], strict=False)]
    assert min(gaps) > 0.05
    assert services.times[-1] - services.times[0] > 0.28


def test_a_host_that_fails_is_left_alone(
    services: Services, service_of: Callable[..., Service], caplog: pytest.LogCaptureFixture
) -> None:
    """Two items of three attempts each; an item that is answered between them begins the count anew."""
    services.broken = lambda words: Failure(status=502, content=b"bad\ngateway") if words.startswith("x") else None
    service = service_of()
    with caplog.at_level(logging.WARNING), pytest.raises(FailedRequestError):
        service.ask(question(services, "x1"), titles)
    assert "status 502 (bad gateway) (request 3 of this run)" in caplog.text
    service.ask(question(services, "Heat"), titles)
    with pytest.raises(FailedRequestError):
        service.ask(question(services, "x1"), titles)
    with pytest.raises(UserError, match=r"failed for 2 items in a row, the last time: status 502 .* run the same command later"):
        service.ask(question(services, "x2"), titles)
    assert services.asked == 10


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (Failure(status=403, content=b"set a User-Agent"), "access is refused; look at wikipedia.base_url"),
        (Failure(status=301, headers={"Location": "http://127.0.0.1:1/"}), "answers with a redirect, status 301"),
    ],
)
def test_hopeless_answers_end_the_run_at_once(
    services: Services, service_of: Callable[..., Service], failure: Failure, said: str
) -> None:
    services.failures = [failure]
    with pytest.raises(UserError, match=said):
        service_of().ask(question(services), titles)
    assert services.asked == 1


def test_a_bad_request_is_not_asked_again(services: Services, service_of: Callable[..., Service]) -> None:
    services.failures = [Failure(status=400)]
    with pytest.raises(FailedRequestError):
        service_of().ask(question(services), titles)
    assert services.asked == 1


def test_nobody_at_the_address(service_of: Callable[..., Service], services: Services) -> None:
    with pytest.raises(FailedRequestError, match="no answer: Connection refused"):
        service_of(attempts=1).ask(Question(url="http://127.0.0.1:9/api.php"), titles)


def test_a_key_that_is_refused_is_not_shown(services: Services, service_of: Callable[..., Service], tmp_path: Path) -> None:
    """The server repeats the key in its answer, as some do."""
    asked = Question(url=f"{services.llm}/chat/completions", body={"messages": [{"content": "x"}]})
    with pytest.raises(UserError, match=r"status 401 .*Bearer \*\*\*.*the key is refused; look at .*key_variable") as raised:
        service_of(key="sk-secret-of-mine").ask(asked, titles)
    assert "sk-secret" not in str(raised.value)


@pytest.mark.parametrize("before", [b"", b"x" * 140], ids=["whole", "cut"])
def test_a_key_in_an_answer_that_is_no_json_is_not_shown(
    services: Services, service_of: Callable[..., Service], caplog: pytest.LogCaptureFixture, before: bytes
) -> None:
    services.failures = [Failure(content=before + b" Bearer sk-secret-of-mine")] * 3
    with pytest.raises(FailedRequestError, match="the answer is no JSON") as raised:
        service_of(key="sk-secret-of-mine").ask(question(services), titles)
    assert "sk-" not in str(raised.value) + caplog.text
    assert "request 3 of this run" in caplog.text


def test_a_key_in_what_a_service_says_is_wrong_is_not_shown(services: Services, service_of: Callable[..., Service]) -> None:
    def refuse(answer: Any) -> None:
        raise UnreadableAnswerError(f"it says {answer['error']}")

    services.failures = [Failure(content=b'{"error": "Bearer sk-secret-of-mine"}')] * 3
    with pytest.raises(FailedRequestError, match=r"it says Bearer \*\*\*"):
        service_of(key="sk-secret-of-mine").ask(question(services), refuse)


def test_answers_are_kept_and_failures_are_not(services: Services, service_of: Callable[..., Service], tmp_path: Path) -> None:
    services.failures = [Failure(content=b"[]")] * 3
    with pytest.raises(FailedRequestError):
        service_of().ask(question(services), titles)
    first = service_of()
    found = first.ask(question(services), titles)
    second = service_of()
    assert second.ask(question(services), titles) == found
    assert (first.requests, first.cached, second.requests, second.cached) == (1, 0, 0, 1)
    third = service_of(refresh=True)
    assert [third.ask(question(services), titles) for _ in range(2)] == [found, found]
    assert (third.requests, third.cached) == (1, 1)
    [file] = (tmp_path / "cache").rglob("*.json")
    file.write_text('{"answer": {"que')  # torn, as no kill leaves it
    assert service_of().ask(question(services), titles) == found


def test_an_endless_answer_ends(services: Services, service_of: Callable[..., Service]) -> None:
    """It comes piece by piece, each in time: the limit is of the whole."""
    started = time.monotonic()
    services.failures = [Failure(content=b"x" * 100, pause_s=0.1)]
    with pytest.raises(FailedRequestError, match="no answer in time"):
        service_of(attempts=1, timeout_s=0.3).ask(question(services), titles)
    assert time.monotonic() - started < 5
