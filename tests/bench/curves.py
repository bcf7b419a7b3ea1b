"""The curves of trainings as a picture: `python -m tests.bench.curves OUTPUT FILE.svg`.

OUTPUT is the folder of `python -m tests.bench.recipes`: each NAME-SEED with an epochs.jsonl in it becomes a line, its validation
NDCG@10 over the minutes of its training.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

Points = Sequence[tuple[float, float]]  # minutes and NDCG@10

WIDTH, HEIGHT, LEFT, TOP = 560, 320, 50, 15  # pixels: the plot, and the room for its labels
COLOURS = (
    "#1b6ca8",
    "#d1495b",
    "#3a7d44",
    "#8d5a97",
    "#e08e45",
    "#2a9d8f",
    "#6c757d",
    "#b5838d",
    "#577590",
    "#9c6644",
    "#7b2cbf",
)
STEP = 0.05  # NDCG@10 between two lines of the grid


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.curves", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("output", type=Path, help="folder of the trainings")
    parser.add_argument("picture", type=Path, help="SVG file to write")
    given = parser.parse_args(argv)
    curves = {path.parent.name: read_curve(path) for path in sorted(given.output.glob("*/epochs.jsonl"))}
    if not curves:
        parser.error(f"{given.output} has no folder with an epochs.jsonl: name the folder that tests.bench.recipes wrote")
    given.picture.write_text(draw_curves(curves), "utf-8")


def read_curve(epochs: Path) -> Points:
    """The validations of a training."""
    records = [json.loads(line) for line in epochs.read_text().splitlines()]
    return [(record["seconds"] / 60, record["ndcg@10"]) for record in records if "ndcg@10" in record]


def draw_curves(curves: Mapping[str, Points]) -> str:
    """SVG with a line for each training, the best first in the legend.

    >>> draw_curves({"a": [(0.0, 0.1), (1.0, 0.2)]}).count("<polyline")
    1
    """
    ordered = sorted(curves, key=lambda name: -max((y for _, y in curves[name]), default=0.0))
    longest = max(x for points in curves.values() for x, _ in points)
    highest = max(y for points in curves.values() for _, y in points)
    grid = [STEP * number for number in range(int(highest / STEP) + 2)]
    across, up = WIDTH / longest, HEIGHT / grid[-1]
    parts = [
        f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y}" y2="{y}" stroke="#ddd"/>'
        f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{value:.2f}</text>'
        for value in grid
        for y in [round(TOP + HEIGHT - value * up, 1)]
    ]
    for place, name in enumerate(ordered):
        colour = COLOURS[place % len(COLOURS)]
        line = " ".join(f"{LEFT + x * across:.1f},{TOP + HEIGHT - y * up:.1f}" for x, y in curves[name])
        below = TOP + 10 + 17 * place
        parts += [
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.6"/>',
            f'<rect x="{LEFT + WIDTH + 14}" y="{below - 9}" width="12" height="10" fill="{colour}"/>',
            f'<text x="{LEFT + WIDTH + 31}" y="{below}">{escape(name)}</text>',
        ]
    parts.append(f'<text x="{LEFT + WIDTH / 2}" y="{TOP + HEIGHT + 32}" text-anchor="middle">minutes</text>')
    parts += [
        f'<text x="{LEFT + minute * across:.1f}" y="{TOP + HEIGHT + 16}" text-anchor="middle">{minute:g}</text>'
        for minute in [round(longest * share / 4, 1) for share in range(5)]
    ]
    size = f'width="{LEFT + WIDTH + 190}" height="{TOP + HEIGHT + 42}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
            '<rect width="100%" height="100%" fill="#fff"/>',
            *parts,
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    main()
