"""One pass over the samples before a training: how many rows there are, and the encoding that the training rows give.

Its memory is that of the distinct categories, whatever the number of rows.
"""

import logging
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqrec.errors import UserError
from seqrec.rankers.chosen_columns import ChosenColumns
from seqrec.rankers.samples import SPLIT, SPLITS, Samples
from seqrec.serving.feature_encoding import EncodedColumn, Encoding, category_values, is_list

log = logging.getLogger("seqrec")

MERGE_AFTER = 1 << 20  # counts of categories that are held before equal ones are summed


@dataclass(frozen=True, kw_only=True)
class Survey:
    """The encoding, and how many rows have a label, by split, and how many are left out, by reason."""

    encoding: Encoding
    rows: dict[str, int]
    left_out: dict[str, int]


@dataclass
class CategoryCounts:
    """The categories of a column so far, with their numbers of rows."""

    parts: list[pa.Table] = field(default_factory=list)
    held: int = 0

    def add(self, values: pa.Array) -> None:
        """Count the values of a batch."""
        counted = pc.value_counts(pc.drop_null(values))
        self.parts.append(pa.table({"category": counted.field("values"), "rows": counted.field("counts")}))
        self.held += len(counted)
        if self.held > MERGE_AFTER:
            self.parts = [self.merged()]
            self.held = len(self.parts[0])

    def merged(self) -> pa.Table:
        """The distinct categories, with their numbers of rows."""
        summed = pa.concat_tables(self.parts).group_by("category").aggregate([("rows", "sum")])
        return pa.table({"category": summed["category"], "rows": summed["rows_sum"]})

    def most_frequent(self, most: int) -> pa.Array:
        """The categories, the most frequent first, ties in their own order."""
        return pa.concat_arrays(self.by_frequency(most)["category"].chunks)

    def by_frequency(self, most: int) -> pa.Table:
        """The same categories with their numbers of rows."""
        return self.merged().sort_by([("rows", "descending"), ("category", "ascending")]).slice(0, most)


def survey(samples: Samples, columns: ChosenColumns, *, max_categories: int) -> Survey:
    """Read the label, the split and the discrete columns of all rows.

    Raises UserError if train or valid has no rows, or labels of one class only.
    """
    rows, positives, left_out = Counter[str](), Counter[str](), Counter[str]()
    counts: dict[str, CategoryCounts] = defaultdict(CategoryCounts)
    widths: dict[str, int] = {}
    lists = [name for name in columns.continuous if is_list(samples.arrow.field(name).type)]
    for batch in samples.batches([*columns.discrete, *lists]):
        labels = samples.label.values(batch.column(samples.label.name), path=samples.place)
        splits = np.asarray(batch.column(SPLIT).fill_null("").to_pylist())
        there = ~np.isnan(labels)
        left_out["without a label"] += int(np.count_nonzero(~there))
        left_out["of another split"] += int(np.count_nonzero(there & ~np.isin(splits, SPLITS)))
        for split in SPLITS:
            mine = there & (splits == split)
            rows[split] += int(np.count_nonzero(mine))
            positives[split] += int(np.count_nonzero(labels[mine]))
        trained = batch.filter(pa.array(there & (splits == "train")))
        for name in columns.discrete:
            counts[name].add(category_values(trained.column(name), name=name))
        for name in lists:
            widths[name] = max(widths.get(name, 0), pc.max(pc.list_value_length(trained.column(name))).as_py() or 0)
    _require_two_classes(samples, rows, positives)
    discrete = {name: counts[name].most_frequent(max_categories) for name in columns.discrete}
    empty = [name for name, width in widths.items() if not width]
    if empty:
        log.info("columns left out, as their lists are empty: %s", ", ".join(empty))
    names = [name for name in _in_order(samples, columns) if name not in empty]
    if not names:
        raise UserError(f"{samples.place}: the lists of {', '.join(empty)} are empty: name other columns.continuous")
    encoding = Encoding(columns=tuple(_encoded(samples, name, discrete, widths) for name in names))
    return Survey(
        encoding=encoding,
        rows={split: rows[split] for split in SPLITS if rows[split]},
        left_out={reason: number for reason, number in left_out.items() if number},
    )


def _in_order(samples: Samples, columns: ChosenColumns) -> list[str]:
    """All columns in the order of the table."""
    return sorted((*columns.discrete, *columns.continuous), key=samples.arrow.names.index)


def _encoded(samples: Samples, name: str, discrete: dict[str, pa.Array], widths: dict[str, int]) -> EncodedColumn:
    """How a column becomes features. The shares of genres are called by the genres, other positions by their numbers."""
    if name in discrete:
        return EncodedColumn(name=name, kind="discrete", categories=discrete[name])
    if name not in widths:
        return EncodedColumn(name=name, kind="continuous")
    genres, numbered = samples.schema.genres, [str(number) for number in range(widths[name])]
    return EncodedColumn(name=name, kind="shares", parts=tuple(genres if len(genres) == widths[name] else numbered))


def _require_two_classes(samples: Samples, rows: Counter[str], positives: Counter[str]) -> None:
    """Raise UserError unless train and valid have rows of label 0 and of label 1."""
    for split in ("train", "valid"):
        if not rows[split]:
            raise UserError(
                f"{samples.place} has no rows of split {split} with a label: train and valid are needed; build the dataset "
                "with a task that holds users' items out for valid"
            )
        if positives[split] in (0, rows[split]):
            label = f"label.column={samples.label.name}"
            raise UserError(
                f"{samples.place}: all {rows[split]:,} rows of split {split} have the label {int(positives[split] > 0)} "
                f"({label}): both classes are needed; choose another label.column or label.threshold, or build more samples"
            )
