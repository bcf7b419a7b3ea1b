"""The ids of publications: fresh for each, and sortable, so that an older one never takes the place of a newer one."""

import secrets
from datetime import UTC, datetime, timedelta

from seqrec.errors import UserError

TIME = "%Y%m%dT%H%M%S%fZ"
ABANDONED_AFTER = timedelta(days=1)


def fresh(*, after: str = "") -> str:
    """A publish_id: the UTC time in microseconds and a random suffix; it sorts after the given one.

    >>> fresh(after="29991231T235959999999Z-0000")[:22]
    '30000101T000000000000Z'
    """
    now = datetime.now(UTC)
    if after:
        stood = _started(after)
        if stood is None:
            raise UserError(f"a store has documents with publish_id {after!r}, which no publication wrote: remove that field")
        now = max(now, stood + timedelta(microseconds=1))
    return f"{now.strftime(TIME)}-{secrets.token_hex(2)}"


def is_abandoned(publish_id: str) -> bool:
    """Whether what a publication staged will never be used: it is a day old."""
    started = _started(publish_id)
    return started is not None and datetime.now(UTC) - started > ABANDONED_AFTER


def _started(publish_id: str) -> datetime | None:
    try:
        return datetime.strptime(publish_id.partition("-")[0], TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
