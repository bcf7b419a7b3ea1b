"""The ids of publications. They sort by time, so that an older publication never takes the place of a newer one."""

import secrets
from datetime import UTC, datetime, timedelta

from seqrec.errors import UserError

TIME = "%Y%m%dT%H%M%S%fZ"
ABANDONED_AFTER = timedelta(days=1)


def new_publish_id(*, after: str = "") -> str:
    """A publish_id: the UTC time in microseconds and a random suffix; it sorts after the publish_id `after`.

    >>> new_publish_id(after="29991231T235959999999Z-0000")[:22]
    '30000101T000000000000Z'
    """
    now = datetime.now(UTC)
    if after:
        older = _time_of(after)
        if older is None:
            raise UserError(f"a store has documents with publish_id {after!r}, which no publication wrote: remove that field")
        now = max(now, older + timedelta(microseconds=1))
    return f"{now.strftime(TIME)}-{secrets.token_hex(2)}"


def is_abandoned(publish_id: str) -> bool:
    """Whether the staged rows of a publication will never be used, because it is a day old."""
    started = _time_of(publish_id)
    return started is not None and datetime.now(UTC) - started > ABANDONED_AFTER


def _time_of(publish_id: str) -> datetime | None:
    """When a publication began, by its id; None for a text that isn't a publish_id."""
    try:
        return datetime.strptime(publish_id.partition("-")[0], TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
