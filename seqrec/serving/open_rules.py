"""Rules for lists with the columns of items that they name, read once, at the start of a job or of a `Recommender`.

Apart from `list_rules`, which Python's workers on Spark load: they read no files of items.
"""

import logging
from collections.abc import Collection, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqrec.catalogue.item_columns import ItemColumns, read_item_columns
from seqrec.catalogue.item_fields import FieldOptions
from seqrec.errors import UserError
from seqrec.reranking.item_values import ItemValues, numbers_of
from seqrec.reranking.rules import Rules
from seqrec.serving.list_rules import ListRules
from seqrec.serving.sorted_ids import SortedIds

log = logging.getLogger("seqrec")

OPTIONS = FieldOptions("rerank.items.path", "rerank.items.id=COLUMN", "a cap, quota or boost")


def open_rules(rules: Rules, known: pa.Array) -> ListRules:
    """The rules for the items that a model knows (V,); UserError if their table lacks a column, or has none of these items."""
    if rules.items is None:
        return ListRules(rules, SortedIds.of(pa.array([], known.type)), ItemValues.of(rules, {}, 0), "")
    columns = read_item_columns(
        rules.items, rules.columns, kind=known.type, key=rules.item_key, delimiter=rules.delimiter, options=OPTIONS
    )
    ids = SortedIds.of(columns.ids)
    words = _coverage(columns, ids, known, numbers=rules.number_columns)
    return ListRules(rules, ids, ItemValues.of(rules, columns.values, len(columns.ids)), words)


def _coverage(columns: ItemColumns, ids: SortedIds, known: pa.Array, *, numbers: Collection[str]) -> str:
    """In words, how many of the items that the model knows have the columns, some of them as numbers.

    Raises UserError if none of them is in the table, or none has a value in a column.
    """
    rows = ids.find(known)
    there = len(rows) - rows.null_count
    if len(known) and not there:
        shown, others = (", ".join(map(repr, some[:3].to_pylist())) for some in (columns.ids, known))
        raise UserError(f"{columns.words}: its ids ({shown}, …) are none of the items' ({others}, …): set {OPTIONS.key}")
    have = pc.drop_null(rows).to_pylist()
    found = {name: [values[row] for row in have] for name, values in columns.values.items()}
    if empty := [name for name, values in found.items() if have and not any(values)]:
        raise UserError(
            f"{columns.words}: column {empty[0]} has no value of any of these items: name another in {OPTIONS.fields}"
        )
    counts = ", ".join(_count(name, values, as_numbers=name in numbers) for name, values in found.items())
    return f"{columns.words}: of {len(known):,} items have a value: {counts}"


def _count(name: str, values: Sequence[Sequence[str]], *, as_numbers: bool) -> str:
    """In words, how many items have a value of a column or, if `as_numbers`, a number; a warning tells of other values."""
    there = [listed for listed in values if listed]
    if not as_numbers:
        return f"{name} {len(there):,}"
    is_number = np.isfinite(numbers_of(there))
    if not is_number.all():
        shown = there[int(np.argmin(is_number))]
        log.warning(
            "rerank: %s of %s items have a %s that is no single number, such as %r: boosts and minimums take it for none",
            *(f"{np.count_nonzero(~is_number):,}", f"{len(there):,}", name, "|".join(shown)),
        )
    return f"{name} {np.count_nonzero(is_number):,}"
