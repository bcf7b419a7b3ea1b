"""All items through all sources, one source after the other, and the table enriched_items of what they say."""

import io
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from seqrec.command.bars import Bar
from seqrec.command.screen import aligned, counted, listed
from seqrec.enrichment.catalogue_items import CatalogueItems, Item
from seqrec.enrichment.facts import SOURCED, Facts, merge_facts
from seqrec.enrichment.service import FailedRequestError, Service
from seqrec.errors import UserError
from seqrec.storage import files, versions

log = logging.getLogger("seqrec")

TABLE = "enriched_items"
TEXTS = pa.list_(pa.field("element", pa.string(), nullable=False))
COLUMN_TYPES = {
    "title": pa.string(),
    "summary": pa.string(),
    "genres": TEXTS,
    "year": pa.int32(),
    "creators": TEXTS,
    "keywords": TEXTS,
    "url": pa.string(),
}
OUTCOMES = ("found", "not_found", "failed", "left_out")
FIRST = (*OUTCOMES, "requests", "cached")  # of the counts that are shown

LookUp = Callable[[Item, list[str]], Facts | None]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source by its name in the settings, how it is asked about an item, and what it needs of one: a title, texts, or neither.

    `more` gives further counts at the end. `unknown` is the remedy where a source that is a file knows none of the items.
    """

    name: str
    look_up: LookUp
    service: Service | None = None
    needs: Literal["title", "texts"] | None = None
    more: Callable[[], dict[str, int]] | None = None
    unknown: str | None = None


@dataclass(kw_only=True)
class Enriched:
    """The facts of each item by source, and the counts of each source.

    found, not_found, failed   items that a source knows, doesn't know, and of which its answer failed
    left_out                   items without what the source needs: a title, or a text from another source
    requests, cached           requests of this run, and answers that were on disk
    """

    facts: dict[int | str, dict[str, Facts]] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, item: Item, source: str, facts: Facts | None) -> None:
        """Keep what a source says of an item."""
        if facts is not None:
            self.facts.setdefault(item.id, {})[source] = facts


def enrich(items: Sequence[Item], sources: Sequence[Source], *, priority: Sequence[str]) -> Enriched:
    """Ask all sources about all items, in the order of `sources`; the texts for those that need some come by `priority`.

    Raises UserError if a service is of no use any more, if a file knows no item, or if nobody does.
    """
    enriched = Enriched()
    for source in sources:
        counts = _ask(source, items, enriched, priority)
        enriched.counts[source.name] = counts
        if source.unknown is not None and not counts["found"]:
            raise UserError(f"none of the {counted(len(items), 'item')} is in the file of {source.name}: {source.unknown}")
        if counts["failed"]:
            failed = counted(counts["failed"], "item")
            log.warning("%s failed for %s: run the same command again, which asks for these alone", source.name, failed)
    if not enriched.facts:
        by_source = "; ".join(f"{name}: {listed(counts)}" for name, counts in enriched.counts.items())
        raise UserError(
            f"no source knows any of the {counted(len(items), 'item')} ({by_source}): look at items.title and the hint"
        )
    return enriched


def _ask(source: Source, items: Sequence[Item], enriched: Enriched, priority: Sequence[str]) -> dict[str, int]:
    """Ask one source about all items, and add what it says; the counts."""
    counts = dict.fromkeys(OUTCOMES, 0)
    with Bar(f"asking {source.name}", total=len(items), unit="items") as bar:
        for done, item in enumerate(items, start=1):
            outcome, facts = _look_up(item, source, enriched, priority)
            counts[outcome] += 1
            enriched.add(item, source.name, facts)
            bar.reach(done, note=f"{counts['found']:,} found")
    if source.service is not None:
        counts |= {"requests": source.service.requests, "cached": source.service.cached}
    return counts | (source.more() if source.more else {})


def _look_up(item: Item, source: Source, enriched: Enriched, priority: Sequence[str]) -> tuple[str, Facts | None]:
    """What became of asking a source about an item, and what it says."""
    told = enriched.facts.get(item.id, {})
    texts = [text for name in priority if name in told and (text := as_text(told[name]))]
    if (source.needs == "title" and not item.title) or (source.needs == "texts" and not texts):
        return "left_out", None
    try:
        facts = source.look_up(item, texts)
    except FailedRequestError:
        return "failed", None
    return ("not_found" if facts is None else "found"), facts


def as_text(facts: Facts) -> str:
    """What a source says of an item, as sentences for a language model.

    >>> as_text(Facts(summary="A film.", year=1995, genres=("War", "Drama")))
    'A film. Year: 1995. Genres: War, Drama.'
    """
    parts = {
        "Year": facts.year,
        "Genres": ", ".join(facts.genres),
        "Creators": ", ".join(facts.creators),
        "Keywords": ", ".join(facts.keywords),
    }
    return " ".join([*filter(None, [facts.summary]), *(f"{name}: {value}." for name, value in parts.items() if value)])


def write_enriched(catalogue: CatalogueItems, enriched: Enriched, path: str, *, priority: Sequence[str]) -> dict[str, int]:
    """Write enriched_items into a version, a row an item in the catalogue's order; how many items have a value in each column."""
    rows = [_row(item, enriched.facts.get(item.id, {}), priority) for item in catalogue.items]
    schema = enriched_schema(pa.int64() if catalogue.id_type == "bigint" else pa.string())
    table = pa.Table.from_pylist(rows, schema=schema)
    versions.claim(path)
    content = io.BytesIO()
    pq.write_table(table, content, compression="zstd")
    files.write_bytes(files.join(path, TABLE, "part-00000.parquet"), content.getvalue())
    files.write_text(files.join(path, TABLE, "_SUCCESS"), "")
    return {name: len(table) - table[name].null_count for name in COLUMN_TYPES}


def enriched_schema(item: pa.DataType) -> pa.Schema:
    """The columns of enriched_items, which `tables.schemas.enriched_items` describes."""
    fields = [pa.field("item_id", item, nullable=False)]
    for name, kind in COLUMN_TYPES.items():
        fields.append(pa.field(name, kind))
        if name in SOURCED:
            fields.append(pa.field(f"{name}_source", pa.string()))
    return pa.schema(fields)


def _row(item: Item, found: Mapping[str, Facts], priority: Sequence[str]) -> dict[str, Any]:
    """The row of an item; its title is the catalogue's, else that of the first source with one."""
    merged = merge_facts(found, priority)
    values = {name: (list(value) or None) if isinstance(value, tuple) else value for name, value in merged.items()}
    return {**values, "item_id": item.id, "title": item.title or values["title"]}


def describe(enriched: Enriched, columns: Mapping[str, int], *, items: int) -> str:
    """The counts of each source and the coverage of each column, as tables for the screen."""
    there = dict.fromkeys(name for counts in enriched.counts.values() for name in counts)
    head = sorted(there, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
    rows = [["", *(name.replace("_", " ") for name in head)]]
    rows += [[name, *_cells(counts, head)] for name, counts in enriched.counts.items()]
    shares = [["", "items", "share"]]
    shares += [[name, f"{count:,}", f"{100 * count / items:.1f} %"] for name, count in columns.items()]
    return f"{aligned(rows)}\n\n{aligned(shares)}"


def _cells(counts: Mapping[str, int], head: Iterable[str]) -> list[str]:
    """Counts as cells, empty where a source has no such count."""
    return [f"{counts[name]:,}" if name in counts else "" for name in head]
