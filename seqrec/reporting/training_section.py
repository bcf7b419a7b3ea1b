"""Training: what was trained, how far it came, and the curves of its loss and of what was validated."""

from collections.abc import Sequence

from seqrec.command.screen import counted, duration
from seqrec.errors import UserError
from seqrec.reporting.chain_versions import Chain
from seqrec.reporting.charts import Labels, Series, is_finite, line_chart
from seqrec.reporting.event_counts import run_time
from seqrec.reporting.markup import Markup, element, facts, paragraph, table
from seqrec.reporting.sections import absent, charts, no_version, origin, parts
from seqrec.training.epochs_file import Record, read_records

COLUMNS = {"epoch": ",.0f", "step": ",.0f", "train_loss": ".4f", "loss": ".4f", "ndcg@10": ".4f", "recall@10": ".4f", "lr": ".3g"}
MOST_ROWS = 12  # of the table of validations: the newest


def training_curves(chain: Chain) -> Markup:
    """The section."""
    training = chain.training
    if training is None:
        return no_version("training of this export", "train")
    try:
        records = read_records(training.path)
    except ValueError as error:
        raise UserError(f"{training.path}/epochs.jsonl is damaged ({error})") from None
    meta = training.meta
    shown = facts(
        [
            ("parameters", f"{int(meta.get('parameters', 0)):,}"),
            ("training began", run_time(str(meta.get("run_id", "?")))),
            ("trained for", duration(records[-1]["seconds"]) if records and "seconds" in records[-1] else "unknown"),
        ]
    )
    named = paragraph(element("code", str(meta.get("name", "a model without a name"))))
    if not records:
        return parts(named, shown, absent("No validation was recorded yet: there are no curves."), origin(training))
    return parts(named, shown, _sentences(records), charts(*_curves(records)), _newest(records), origin(training))


def _sentences(records: Sequence[Record]) -> Markup:
    """How far it came."""
    said = [
        f"The training was validated {counted(len(records), 'time')}, at last after {counted(int(records[-1]['step']), 'step')}.",
        "The training loss is what the training makes smaller. NDCG@10 and Recall@10 of valid say how well held-out items are "
        "found: the higher, the better.",
    ]
    best = next((number for number in reversed(range(len(records))) if records[number].get("best")), None)
    if best is not None:
        last = " It was the last one: a longer training may still become better." if best == len(records) - 1 else ""
        said.append(
            f"The best validation, whose weights are kept, is number {best + 1}, after step {int(records[best]['step']):,}.{last}"
        )
    broken = sum(any(name in record and not is_finite(record[name]) for name in COLUMNS) for record in records)
    if broken:
        said.append(
            f"{counted(broken, 'validation')} {'has' if broken == 1 else 'have'} a value that is no finite number, such as nan: "
            "the curves leave those values out."
        )
    return paragraph(*said)


def _curves(records: Sequence[Record]) -> list[Markup]:
    """A chart of the losses, and one for each metric that was validated."""
    losses = [
        Series(name=name, points=_points(records, value))
        for value, name in (("train_loss", "train"), ("loss", "valid"))
        if _points(records, value)
    ]
    drawn = []
    if losses:
        words = "The mean loss of the steps since the validation before" + (
            ", and the loss on valid." if len(losses) > 1 else "."
        )
        drawn.append(line_chart(losses, Labels(title="Loss", description=words, across="step", up="loss")))
    for value, name in (("ndcg@10", "NDCG@10"), ("recall@10", "Recall@10")):
        if points := _points(records, value):
            best = max(range(len(points)), key=lambda place: points[place][1])
            words = f"The best, {points[best][1]:.4f}, is at step {points[best][0]:,.0f}."
            labels = Labels(title=f"{name} of valid", description=words, across="step", up=name)
            drawn.append(line_chart([Series(name=name, points=points)], labels, best=best))
    return drawn


def _points(records: Sequence[Record], value: str) -> list[tuple[float, float]]:
    """A value by step."""
    return [
        (float(record["step"]), float(record[value]))
        for record in records
        if is_finite(record.get("step")) and is_finite(record.get(value))
    ]


def _newest(records: Sequence[Record]) -> Markup:
    """The newest validations as a table."""
    names = [name for name in COLUMNS if any(name in record for record in records)]
    rows = [
        [
            f"{number}{' (best)' if record.get('best') else ''}",
            *("–" if record.get(name) is None else format(record[name], COLUMNS[name]) for name in names),
        ]
        for number, record in list(enumerate(records, start=1))[-MOST_ROWS:]
    ]
    caption = "The validations" if len(records) <= MOST_ROWS else f"The newest {MOST_ROWS} of {len(records)} validations"
    return table(["validation", *names], rows, caption=f"{caption}; (best) where the model was the best so far")
