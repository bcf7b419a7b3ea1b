"""Pipelines beside each other: lists of a retrieval, of a ranker or of both, against the first method, user by user.

    compared with sasrec, over 943 users; intervals of the difference with 95 % confidence
               NDCG@10                                      difference
    retrieval   0.0721  -0.0418 (-0.0551 to -0.0291; p 0.0005), behind
    two_stage   0.1302   +0.0163 (+0.0058 to +0.0270; p 0.0020), ahead

All of them are measured on the same users and held-out items. The interval and p are those of `verdict`, of paired differences;
those of the measures of lists, which stand in a table below, are of blocks of users.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from seqrec.command.screen import aligned
from seqrec.errors import UserError
from seqrec.evaluation.candidate_recall import rank_by_candidates
from seqrec.evaluation.evaluate import rank_by_table
from seqrec.evaluation.held_out import HeldOut
from seqrec.evaluation.list_measures import LIST_MEASURES
from seqrec.evaluation.ranked import Ranked
from seqrec.evaluation.report import LABELS
from seqrec.evaluation.user_values import FIRST
from seqrec.evaluation.verdict import FEW, Comparison, compare
from seqrec.retrieval.build_candidates import MERGED_LISTS
from seqrec.storage import files, versions

LEVEL = 0.05  # of p, from which on a difference may be chance
SHOWN_MEASURES = (("ndcg", "NDCG", 10), ("recall", "recall", 20))  # by the name in verdict.MEASURES, as shown, and the depth
MEASURED = (*((measure, depth) for measure, _, depth in SHOWN_MEASURES), ("ndcg", 20))  # what is compared: shown, and stored


def rank_by_lists(held_out: HeldOut, name: str, folder: str) -> Ranked:
    """Act: ranks in the lists of a folder of batch_recommend, or in the merged ones of build_candidates, under a name.

    Raises UserError if they are of another split or dataset.
    """
    path = versions.resolve(folder)
    if files.exists(files.join(path, MERGED_LISTS)):
        return replace(next(rank_by_candidates(held_out, path)), name=name, compared=True)
    return replace(rank_by_table(held_out, path), name=name, compared=True)


def require_comparable(methods: Sequence[Ranked]) -> None:
    """Raise UserError for a compared method with the name of another, or if one of those has lists for some users alone."""
    names = [ranked.name for ranked in methods]
    compared = [ranked for ranked in methods if ranked.compared]
    if taken := [ranked.name for ranked in compared if names.count(ranked.name) > 1]:
        raise UserError(f"compared.{taken[0]}: another method has that name, take another than {', '.join(dict.fromkeys(names))}")
    for ranked in (methods[0], *compared) if compared else ():
        if ranked.subset is not None:
            key = f"compared.{ranked.name}" if ranked.compared else "table"
            raise UserError(
                f"{key}: {ranked.subset}, and pipelines are compared on the same users: run batch_recommend without users"
            )


def compare_pipelines(first: Ranked, others: Sequence[Ranked], *, seed: int) -> dict[str, list[Comparison]]:
    """Act: each of the other methods against the first, by all that is MEASURED, down to where the lists of all end."""
    lengths = [ranked.listed for ranked in (first, *others) if ranked.listed is not None]
    measured = dict.fromkeys((measure, min([depth, *lengths])) for measure, depth in MEASURED)
    return {
        other.name: [compare(other, first, seed=seed, measure=measure, depth=depth) for measure, depth in measured]
        for other in others
    }


def show_compared(first: str, compared: Mapping[str, Sequence[Comparison]]) -> str:
    """The comparisons of each pipeline as a table, the first method's name above it; there is at least one.

    >>> near = Comparison(baseline="m", depth=10, users=90, changed=30, ours=0.5, theirs=0.25, low=0.125, high=0.375, p=0.002)
    >>> print(show_compared("m", {"two_stage": [near]}))
    compared with m, over 90 users; intervals of the difference with 95 % confidence
               NDCG@10                                     difference
    two_stage   0.5000  +0.2500 (+0.1250 to +0.3750; p 0.0020), ahead
    """
    labels = {measure: shown for measure, shown, _ in SHOWN_MEASURES}
    compared = {name: _first_of_each(comparisons, list(labels)) for name, comparisons in compared.items()}
    one_row = next(iter(compared.values()))
    header = ["", *(text for one in one_row for text in (f"{labels[one.measure]}@{one.depth}", "difference"))]
    rows = [
        [name, *(text for one in comparisons for text in (f"{one.ours:.4f}", _difference_in_words(one)))]
        for name, comparisons in compared.items()
    ]
    title = f"compared with {first}, over {one_row[0].users:,} users; intervals of the difference with 95 % confidence"
    return f"{title}\n{aligned([header, *rows])}"


def _first_of_each(comparisons: Sequence[Comparison], measures: Sequence[str]) -> list[Comparison]:
    """Of comparisons the first one of each measure that is there, at the depth that is shown."""
    first = {one.measure: one for one in reversed(comparisons)}
    return [first[measure] for measure in measures if measure in first]


def show_lists_compared(first: str, compared: Mapping[str, Sequence[Comparison]]) -> str | None:
    """The differences in the measures of lists, a column a pipeline, with their intervals and p; None if none was measured.

    >>> near = {"users": 9, "changed": 2, "ours": 0.5, "theirs": 0.25, "low": 0.125, "high": 0.375, "p": 0.002}
    >>> print(show_lists_compared("m", {"mmr": [Comparison(baseline="m", depth=10, measure="novelty", **near)]}))
    lists compared with those of m: differences, their intervals of 95 % confidence, and p
                                                                       mmr
    novelty of the first 10 (bits)  +0.2500 (+0.1250 to +0.3750; p 0.0020)
    """
    of_lists = {name: {one.measure: one for one in rows if one.depth == FIRST} for name, rows in compared.items()}
    measures = [name for name in LIST_MEASURES if any(name in by_measure for by_measure in of_lists.values())]
    if not measures:
        return None
    rows = [["", *of_lists]]
    for measure in measures:
        cells = [by_measure.get(measure) for by_measure in of_lists.values()]
        rows.append([LABELS[f"{measure}@{FIRST}"], *("-" if one is None else _difference(one) for one in cells)])
    title = f"lists compared with those of {first}: differences, their intervals of 95 % confidence, and p"
    return f"{title}\n{aligned(rows)}"


def _difference_in_words(comparison: Comparison) -> str:
    """The difference, its interval and p, and what it shows: nothing where p says so, or where few users differ (see `judge`).

    >>> few = Comparison(baseline="m", depth=10, users=90, changed=3, ours=0.5, theirs=0.25, low=0.125, high=0.375, p=0.25)
    >>> _difference_in_words(few)
    '+0.2500 (+0.1250 to +0.3750; p 0.2500), not told apart'
    """
    sure = comparison.changed >= FEW and comparison.p < LEVEL
    told = "ahead" if sure and comparison.low > 0 else "behind" if sure and comparison.high < 0 else "not told apart"
    return f"{_difference(comparison)}, {told}"


def _difference(comparison: Comparison) -> str:
    """The difference, its interval and p."""
    span = f"{comparison.low:+.4f} to {comparison.high:+.4f}"
    return f"{comparison.ours - comparison.theirs:+.4f} ({span}; p {comparison.p:.4f})"
