"""The keys and types of the meta.json of enriched items."""

from typing import Any

from pydantic import Field

from seqrec.storage.meta import Meta
from seqrec.storage.metadata import IdType


class EnrichedItemsMeta(Meta):
    """What sources say of items, which enrich_items writes; `sources` are in the order of priority.

    `counts` are items, untitled, without_id and repeated rows, and known: items of which any source says something. `by_source`
    has found, not_found, failed and left_out items of each source and, of services, requests and cached answers; of steam the
    unread rows, of llm the values that its text didn't have (unsupported). `with_value` counts the items with a value, by column.
    """

    id_type: IdType
    sources: list[str]
    counts: dict[str, int]
    by_source: dict[str, dict[str, int]]
    with_value: dict[str, int]
    inputs: list[str] = Field([])
    settings: dict[str, Any] = Field({})
