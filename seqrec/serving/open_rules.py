"""Rules for lists with the columns of items that they name, read once, at the start of a job or of a `Recommender`.

Apart from `list_rules`, which Python's workers on Spark load: they read no files of items.
"""

import pyarrow as pa
import pyarrow.compute as pc

from seqrec.catalogue.item_columns import ItemColumns, read_item_columns
from seqrec.errors import UserError
from seqrec.reranking.item_values import ItemValues
from seqrec.reranking.rules import Rules
from seqrec.serving.list_rules import ListRules
from seqrec.serving.sorted_ids import SortedIds

OPTIONS = ("rerank.item_key=COLUMN", "a cap, quota or boost")  # what says the columns, in messages


def open_rules(rules: Rules, known: pa.Array) -> ListRules:
    """The rules for the items that a model knows (V,); UserError if their table lacks a column, or has none of these items."""
    if rules.items is None:
        return ListRules(rules, SortedIds.of(pa.array([], known.type)), ItemValues.of(rules, {}, 0), "")
    columns = read_item_columns(
        rules.items, rules.columns, kind=known.type, key=rules.item_key, delimiter=rules.delimiter, options=OPTIONS
    )
    ids = SortedIds.of(columns.ids)
    words = _coverage(columns, ids, known)
    return ListRules(rules, ids, ItemValues.of(rules, columns.values, len(columns.ids)), words)


def _coverage(columns: ItemColumns, ids: SortedIds, known: pa.Array) -> str:
    """In words, how many of the items that the model knows have the columns; UserError if none has."""
    rows = ids.find(known)
    there = len(rows) - rows.null_count
    if len(known) and not there:
        shown, others = (", ".join(map(repr, some[:3].to_pylist())) for some in (columns.ids, known))
        raise UserError(f"{columns.words}: its ids ({shown}, …) are none of the items' ({others}, …): set {OPTIONS[0]}")
    have = pc.drop_null(rows).to_numpy()
    counts = ", ".join(f"{name} {sum(bool(values[row]) for row in have):,}" for name, values in columns.values.items())
    return f"{columns.words}: of {len(known):,} items have a value: {counts}"
