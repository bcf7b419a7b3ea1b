"""Curves of a training as pictures, PNG by matplotlib, one each of the training loss, NDCG@10 and Recall@10 of valid."""

import importlib.util
import io
from collections.abc import Sequence
from typing import NamedTuple

INCHES, DOTS = (7.0, 4.0), 120  # the size of a picture, and its dots an inch
GREY, BLUE, RED = "#d8d8d8", "#3465a4", "#b4471f"


class Curve(NamedTuple):
    """The value of a training's records that a picture shows, its title, and whether a higher one is better."""

    value: str
    title: str
    higher: bool


CURVES = {
    "train_loss": Curve("train_loss", "training loss", higher=False),
    "val_ndcg10": Curve("ndcg@10", "NDCG@10 of valid", higher=True),
    "val_recall10": Curve("recall@10", "Recall@10 of valid", higher=True),
}
PICTURES = tuple(f"{name}.png" for name in CURVES)


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def draw_curves(records: Sequence[dict[str, float]]) -> dict[str, bytes]:
    """The pictures by file name, of those values that a record has; the best value is marked and written beside its place."""
    points = {
        name: [(record["step"], record[curve.value]) for record in records if curve.value in record]
        for name, curve in CURVES.items()
    }
    return {f"{name}.png": _draw(CURVES[name], those) for name, those in points.items() if those}


def _draw(curve: Curve, points: Sequence[tuple[float, float]]) -> bytes:
    """The picture of one value by step."""
    from matplotlib.figure import Figure

    steps, values = [step for step, _ in points], [value for _, value in points]
    best = (max if curve.higher else min)(range(len(values)), key=lambda place: values[place])
    figure = Figure(figsize=INCHES, dpi=DOTS, layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel=curve.title, title=curve.title)
    axes.plot(steps, values, color=BLUE, marker="o" if len(values) < 60 else None, markersize=4)
    axes.plot(
        [steps[best]],
        [values[best]],
        color=RED,
        marker="o",
        markersize=7,
        linestyle="none",
        label=f"best: {values[best]:.4f} at step {steps[best]:,.0f}",
    )
    axes.grid(color=GREY, linewidth=0.6)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.legend(frameon=False)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()
