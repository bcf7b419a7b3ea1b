"""The report of a chain: what is read is read once, and each section shows what there is of it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from seqrec.catalogue.titles import Titles
from seqrec.errors import UserError
from seqrec.reporting.chain_folders import Folders
from seqrec.reporting.chain_versions import Chain, chain_of_run, current_chain
from seqrec.reporting.compared_section import LISTS, compared_with
from seqrec.reporting.data_section import data_quality
from seqrec.reporting.lineage_sections import lineage, publications
from seqrec.reporting.list_counts import Catalogue, Id, ListCounts, count_lists
from seqrec.reporting.list_overlap import rows_of
from seqrec.reporting.lists_section import recommended_lists
from seqrec.reporting.markup import Markup
from seqrec.reporting.metrics_section import metrics_with_intervals
from seqrec.reporting.page import write_page
from seqrec.reporting.sample_users import History, first_users, read_histories, spread_users, typed_users
from seqrec.reporting.samples_sections import neighbours_of_items, sample_users
from seqrec.reporting.sections import BROKEN, Samples, Section, section, why
from seqrec.reporting.training_section import training_curves
from seqrec.storage import files
from seqrec.storage.run_ids import RUN_ID

LATEST = 8  # items of a history that are shown

log = logging.getLogger("seqrec")


@dataclass(frozen=True, kw_only=True)
class Lists:
    """What was read of the lists and of the dataset that they were made from, as far as both are there."""

    catalogue: Catalogue | None = None
    counts: ListCounts | None = None
    histories: dict[Id, History] | None = None


def open_chains(folders: Folders, compare: str | None) -> tuple[Chain, Chain | None]:
    """The current chain, and the one that it is compared with: a run id, or another chain's folder.

    Raises UserError if there is nothing of the first, or no such run or folder.
    """
    chain = current_chain(folders)
    if chain.is_empty:
        looked = ", ".join((folders.data, folders.model, folders.evaluation, folders.lists))
        raise UserError(
            f"there is nothing to report on, no finished version in any of {looked}: set SEQREC_ROOT to a chain's folder"
        )
    if compare is None:
        return chain, None
    if RUN_ID.match(compare):
        return chain, chain_of_run(folders, compare)
    other = current_chain(Folders.below(compare))
    if other.is_empty:
        raise UserError(
            f"compare={compare}: no chain is there; give a run id of this chain, or another chain's folder (its SEQREC_ROOT)"
        )
    return chain, other


def make_page(chain: Chain, other: Chain | None, *, samples: Samples, name: str) -> str:
    """The page as HTML. What is missing or broken is said in its place; UserError for named users of a wrong type."""
    lists, broken = _read_lists(chain, samples)
    chain = replace(chain, problems=(*chain.problems, *_untitled(chain, lists, samples.titles)))
    for problem in (*chain.problems, *broken):
        log.warning("%s", problem)
    sections: Sequence[Section] = [
        section("data", "Data quality", partial(data_quality, chain)),
        section("training", "Training", partial(training_curves, chain)),
        section("metrics", "Metrics", partial(metrics_with_intervals, chain)),
        section("lists", "What is recommended", partial(_lists_section, chain, lists, samples, broken)),
        section("users", "Sample users", partial(sample_users, chain, lists.counts, lists.histories or {}, samples)),
        section("items", "Neighbours of known items", partial(neighbours_of_items, chain, samples)),
        section("published", "What was published", partial(publications, chain)),
        *([] if other is None else [section("compared", "Compared", partial(compared_with, chain, other, samples.titles))]),
        section("lineage", "Versions and lineage", partial(lineage, chain)),
    ]
    return write_page(chain, sections, name=name, made_at=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")


def _untitled(chain: Chain, lists: Lists, titles: Titles) -> list[str]:
    """In words, that none of the items has a title, if there are titles and a dataset; a broken one is told by its section."""
    if not titles.texts or chain.dataset is None:
        return []
    try:
        catalogue = lists.catalogue or Catalogue.read(chain.dataset.path)
    except BROKEN:
        return []
    words = titles.mismatch(catalogue.ids.to_pylist())
    return [words] if words else []


def _lists_section(chain: Chain, lists: Lists, samples: Samples, broken: Sequence[str]) -> Markup:
    """The section of lists; UserError, which it then shows, if they couldn't be read."""
    if broken:
        raise UserError("; ".join(broken))
    return recommended_lists(chain, lists.catalogue, lists.counts, samples.titles)


def _read_lists(chain: Chain, samples: Samples) -> tuple[Lists, list[str]]:
    """What was read, and in words why not all of it could be."""
    version, dataset = chain.lists, chain.dataset_of(chain.lists)
    if version is None or dataset is None or dataset.run_id != version.meta.get("dataset", dataset.run_id):
        return Lists(), []
    kind = str(dataset.meta.get("id_types", {}).get("user", "bigint"))
    named = typed_users(samples.named_users, kind)
    history = str(version.meta.get("history", "full"))
    table = files.join(dataset.path, "sequences" if history == "full" else history)
    try:
        catalogue = Catalogue.read(dataset.path)
        users = named or spread_users(table, samples.users)
        lists = files.join(version.path, LISTS)
        counts = count_lists(lists, catalogue, users=users)
        if not named and len(counts.rows) < len(users):  # lists of a subset of the users
            users = spread_users(table, samples.users, among=first_users(lists))
            counts = replace(counts, rows=rows_of(lists, users))
        return Lists(
            catalogue=catalogue, counts=counts, histories=_ordered(read_histories(table, users, catalogue, number=LATEST), users)
        ), []
    except BROKEN as error:
        return Lists(), [why(error)]


def _ordered(histories: dict[Id, History], users: Sequence[Id]) -> dict[Id, History]:
    """The histories in the order of the users."""
    return {user: histories[user] for user in users if user in histories}
