"""Which columns of the samples are features: those of feature_schema.json, or those that the settings name."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from seqrec.command.screen import counted
from seqrec.errors import UserError
from seqrec.rankers.samples import SPLIT, Samples
from seqrec.serving.feature_encoding import is_list
from seqrec.storage.ranker_metadata import FEATURE_SCHEMA

log = logging.getLogger("seqrec")

TELLING = ("label", "rating", SPLIT)  # columns that hold the label, or that divide the rows


@dataclass(frozen=True)
class ChosenColumns:
    """The columns that become features, in the order of the table."""

    discrete: tuple[str, ...]
    continuous: tuple[str, ...]


def choose_columns(samples: Samples, *, discrete: Sequence[str] | None, continuous: Sequence[str] | None) -> ChosenColumns:
    """The columns that are named, or, for None, those of feature_schema.json without lists of categories and the label.

    Raises UserError for a column that isn't there, that is named twice, or that tells the label, and if none is left.
    """
    settled = {
        "discrete": _settle(samples, "discrete", discrete, samples.schema.discrete),
        "continuous": _settle(samples, "continuous", continuous, samples.schema.continuous),
    }
    if both := [name for name in settled["discrete"] if name in settled["continuous"]]:
        raise UserError(f"column {both[0]} is both in columns.discrete and in columns.continuous: take it out of one of them")
    if not any(settled.values()):
        raise UserError(f"no column of {samples.place} is a feature: name some in columns.discrete or columns.continuous")
    return ChosenColumns(settled["discrete"], settled["continuous"])


def _settle(samples: Samples, kind: str, named: Sequence[str] | None, default: Sequence[str]) -> tuple[str, ...]:
    """The columns of a kind."""
    source = f"columns.{kind}" if named is not None else FEATURE_SCHEMA
    wanted = list(default if named is None else named)
    there = samples.arrow.names
    for name in wanted:
        if name not in there:
            raise UserError(f"{source}: {samples.place} has no column {name!r}; its columns are {', '.join(there)}")
        if wanted.count(name) > 1:
            raise UserError(f"{source}: column {name} is named twice: name it once")
    telling = {*TELLING, samples.label.name}
    lists = [name for name in wanted if kind == "discrete" and is_list(samples.arrow.field(name).type)]
    if named is not None:
        if told := [name for name in wanted if name in telling]:
            raise UserError(f"{source}: column {told[0]} tells the label {samples.label.name}: leave it out")
        if lists:
            raise UserError(f"{source}: column {lists[0]} holds lists of categories, which are no feature: leave it out")
    left_out = [name for name in wanted if name in telling or name in lists]
    if left_out:
        which = counted(len(left_out), "column")
        log.info("%s of %s left out, the label or lists of categories: %s", which, source, ", ".join(left_out))
    return tuple(sorted((name for name in wanted if name not in left_out), key=there.index))
