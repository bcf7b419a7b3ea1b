"""Metrics with their intervals: all methods beside each other, by segment, and against the evaluation before."""

from collections.abc import Mapping, Sequence
from typing import Any

from seqrec.command.installation import program
from seqrec.evaluation.baselines import BASELINES
from seqrec.evaluation.report import COUNTS, labelled_metrics, short_names, shown_number
from seqrec.evaluation.verdict import Comparison
from seqrec.reporting.chain_versions import METRICS, Chain, Version
from seqrec.reporting.charts import Labels, Span, interval_chart, is_finite
from seqrec.reporting.event_counts import run_time
from seqrec.reporting.markup import Content, Markup, element, joined, listing, paragraph, table
from seqrec.reporting.paired import compare_evaluations
from seqrec.reporting.sections import absent, charts, no_version, origin, parts

MAIN = "ndcg@10"  # the metric of the chart
EXPLAINED = {
    "ndcg": "NDCG@K is 1 for a user whose held-out item comes first in the list, less the further down it stands, and 0 below "
    "place K; the value is the mean over users.",
    "hit_rate": "Hit rate@K is the share of users whose held-out item is among the first K.",
    "mrr": "MRR@K is the mean of 1 divided by the place of the held-out item, 0 below place K.",
    "coverage": "Coverage is the share of the catalogue that anybody is recommended.",
    "gini": "The Gini index is 0 if all items are recommended equally often, and near 1 if a few get nearly all places.",
    "novelty": "Novelty is the higher the less popular the recommended items are.",
    "popularity": "Popularity is the mean number of training events of the recommended items.",
    "genre_diversity": "Diversity by genre is the higher the fewer genres the items of a list have in common.",
    "vector_diversity": "Diversity by vector is the higher the less alike the vectors of a list's items are.",
    "long_tail": "The long tail are the less popular items that have a fifth of all events together.",
    "serendipity": "Serendipity is high where held-out items are found that popularity alone would not have found.",
}

Metrics = dict[str, float]


def metrics_with_intervals(chain: Chain) -> Markup:
    """The section."""
    evaluation = chain.evaluation
    if evaluation is None:
        return no_version("evaluation", "evaluate popularity=true markov=true")
    content = evaluation.read_json(METRICS)
    results: dict[str, Metrics] = content.get("metrics", {})
    if not results:
        return absent(f"{evaluation.path}/{METRICS} is missing or has no metrics: run evaluate again.")
    names, intervals = short_names(results), content.get("intervals", {})
    verdict = content.get("verdict")
    return parts(
        paragraph(_with_short_names(verdict["sentence"], names) + ".", class_="lead") if verdict else _no_baseline(results),
        _meaning(names, evaluation, results),
        charts(_chart(results, intervals, names)),
        metrics_table(results, intervals, names),
        _segments(content.get("segments", {}), names),
        _before(evaluation, chain.before, results),
        origin(evaluation),
    )


def metrics_table(
    results: Mapping[str, Metrics], intervals: Mapping[str, Mapping[str, Sequence[float]]], names: Mapping[str, str]
) -> Markup:
    """All main metrics, a column a method, with the interval below a value that has one."""
    rows: list[list[Content]] = []
    for metric, label in labelled_metrics(results).items():
        cells = [_cell(metric, metrics.get(metric), intervals.get(method, {}).get(metric)) for method, metrics in results.items()]
        rows.append([label, *cells])
    caption = "Metrics of each method; below a value its interval of 95 % confidence"
    return table(["metric", *(names[method] for method in results)], rows, caption=caption)


def _cell(metric: str, value: float | None, interval: Sequence[float] | None) -> Content:
    """A value, and the interval below it."""
    shown = shown_number(metric, value)
    if value is None or interval is None:
        return shown
    low, high = (shown_number(metric, end) for end in interval)
    return joined([shown, element("br"), element("span", f"{low}–{high}", class_="span")], "")


def _with_short_names(sentence: str, names: Mapping[str, str]) -> str:
    """The sentence of the verdict, which begins with the name of the model."""
    for name, short in names.items():
        if short == "the model":
            sentence = sentence.replace(name, short)
    return sentence[:1].upper() + sentence[1:]


def _no_baseline(results: Mapping[str, Metrics]) -> Markup | None:
    """What to do where nothing says how good the numbers are."""
    if BASELINES.keys() & results.keys():
        return None
    return absent(
        "There is no baseline beside the model, so that nothing says whether these numbers are good.",
        f"Run {program()} evaluate popularity=true markov=true.",
    )


def _meaning(names: Mapping[str, str], evaluation: Version, results: Mapping[str, Metrics]) -> Markup:
    """What was measured, and what the metrics mean."""
    split, dataset = evaluation.meta.get("split", "test"), evaluation.meta.get("dataset", "?")
    said: list[Content] = [
        f"Each user's held-out items of {split}, in dataset {dataset}, were ranked among all items that the user hasn't had."
    ]
    for name, short in names.items():
        if name != short:
            said.append(joined(["In the tables, ", element("em", short), " is ", element("code", name), "."], ""))
    kinds = {metric.partition("@")[0] for metric in labelled_metrics(results)}
    meanings = [words for kind, words in EXPLAINED.items() if kind in kinds]
    span = "An interval of 95 % confidence says how far the value may be off because no more users were measured."
    return parts(paragraph(*said), listing([*meanings, span]))


def _chart(
    results: Mapping[str, Metrics], intervals: Mapping[str, Mapping[str, Sequence[float]]], names: Mapping[str, str]
) -> Markup | None:
    """NDCG@10 of all methods with intervals."""
    spans = []
    for method, metrics in results.items():
        if is_finite(metrics.get(MAIN)):
            ends = intervals.get(method, {}).get(MAIN)
            spans.append(
                Span(
                    name=f"{names[method]}: {metrics[MAIN]:.4f}",
                    value=metrics[MAIN],
                    interval=(ends[0], ends[1]) if ends and all(map(is_finite, ends)) else None,
                )
            )
    if not spans:
        return None
    described = "The dot is the value, the line its interval of 95 % confidence; further to the right is better."
    return interval_chart(spans, Labels(title="NDCG@10 of each method", description=described, across="NDCG@10", up=""))


def _segments(segments: Mapping[str, Mapping[str, Any]], names: Mapping[str, str]) -> Markup:
    """A table for each segment."""
    title = element("h3", "By segment")
    if not any(segments.values()):
        hint = "evaluate segments=[history, popularity] does it by the length of histories and the popularity of held-out items."
        return parts(title, paragraph("Groups of users were not measured apart:", hint))
    tables = []
    for segment in dict.fromkeys(name for of_method in segments.values() for name in of_method):
        groups = dict.fromkeys(group for of_method in segments.values() for group in of_method.get(segment, {}))
        rows = [[group, *_group_cells(segments, segment, group)] for group in groups]
        header = ["group", "users", *(names.get(method, method) for method in segments)]
        tables.append(table(header, rows, caption=f"NDCG by {segment}, with intervals of 95 % confidence"))
    said = paragraph(
        "The mean over all users hides groups that fare worse; the fewer users a group has, the wider its interval is."
    )
    return parts(title, said, *tables)


def _group_cells(segments: Mapping[str, Mapping[str, Any]], segment: str, group: str) -> list[Content]:
    """The users of a group, and each method's NDCG for them."""
    cells: list[Content] = []
    users = 0
    for of_method in segments.values():
        metrics = of_method.get(segment, {}).get(group)
        main = next((name for name in metrics or () if name.startswith("ndcg@")), None)
        if metrics is None or main is None:
            cells.append("–")
            continue
        users = metrics.get("users", 0)
        cells.append(_cell(main, metrics[main], metrics.get("intervals", {}).get(main)))
    return [f"{users:,}", *cells]


def _before(evaluation: Version, before: Version | None, results: Mapping[str, Metrics]) -> Markup:
    """This evaluation's first method against that of the evaluation before."""
    title = element("h3", "Against the run before")
    if before is None:
        none = "There is no evaluation of this split before this one whose first method is of the same kind."
        return parts(title, paragraph(none))
    older: dict[str, Metrics] = before.read_json(METRICS).get("metrics", {})
    said = [f"The run before is {before.run_id}, of {run_time(before.run_id)}."]
    if before.meta.get("dataset") != evaluation.meta.get("dataset"):
        said.append(f"It was measured on another dataset, {before.meta.get('dataset')}, so a difference may come from the data.")
    if not older:
        return parts(title, paragraph(*said), absent(f"{before.path} has no metrics."))
    compared = paired_sentence(compare_evaluations(evaluation, before))
    return parts(title, paragraph(*said, compared), changes_table(results, older))


def changes_table(now: Mapping[str, Metrics], before: Mapping[str, Metrics]) -> Markup:
    """The metrics of the first methods of two evaluations, which the caption names, and their differences."""
    (ours, new), (theirs, old) = next(iter(now.items())), next(iter(before.items()))
    labels = labelled_metrics({ours: new, f"{theirs} before": old})
    rows = [
        [label, shown_number(metric, old.get(metric)), shown_number(metric, new.get(metric)), _difference(metric, new, old)]
        for metric, label in labels.items()
    ]
    return table(["metric", "before", "now", "difference"], rows, caption=f"Now {ours}; before {theirs}")


def _difference(metric: str, new: Metrics, old: Metrics) -> str:
    """The difference of a metric, with its sign."""
    if metric not in new or metric not in old:
        return "–"
    difference = new[metric] - old[metric]
    return f"{difference:+,.0f}" if metric in COUNTS else f"{difference:+.4f}"


def paired_sentence(comparison: Comparison | None) -> str:
    """What the paired difference says, or what is needed for one."""
    if comparison is None:
        return (
            "Whether a difference is more than chance is told user by user, if both evaluations are of the same dataset and were "
            "made with save_predictions=true."
        )
    sure = comparison.p < 0.05 and (comparison.low > 0 or comparison.high < 0)
    told = "This is more than chance explains." if sure else "This may be chance."
    return (
        f"Over the {comparison.users:,} users of both, NDCG@10 differs by {comparison.ours - comparison.theirs:+.4f} "
        f"(95 % confidence: {comparison.low:+.4f} to {comparison.high:+.4f}, p {comparison.p:.4f}); it is another one for "
        f"{comparison.changed:,} of them. {told}"
    )
