"""How much each feature matters to a ranker: a table, a picture, and a line for the screen.

The picture is SVG, which every browser shows; writing it takes no library for plots.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

TABLE, PICTURE = "importances", "importances.svg"
TABLE_PART = f"{TABLE}/part-00000.parquet"
DRAWN = 30  # features in the picture
ROW, LABEL, BAR = 18, 260, 420  # pixels: the height of a row, the widths of names and of the longest bar


@dataclass(frozen=True, kw_only=True)
class Importance:
    """A feature's share of all features' importance, and the splits by it of a model of trees."""

    feature: str
    share: float
    splits: int | None = None


def in_order(importances: Sequence[Importance]) -> list[Importance]:
    """The most important first, ties by name."""
    return sorted(importances, key=lambda importance: (-importance.share, importance.feature))


def write_importances(importances: Sequence[Importance], folder: Path, *, title: str) -> None:
    """Write the table and the picture into a local folder."""
    ordered = in_order(importances)
    schema = pa.schema(
        [
            pa.field("feature", pa.string(), nullable=False),
            pa.field("share", pa.float32(), nullable=False),
            pa.field("splits", pa.int64()),
        ]
    )
    columns = [[getattr(importance, field.name) for importance in ordered] for field in schema]
    (folder / TABLE).mkdir(parents=True, exist_ok=True)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    pq.write_table(pa.table(arrays, schema=schema), folder / TABLE_PART)
    (folder / PICTURE).write_text(draw(ordered[:DRAWN], title=title), "utf-8")


def draw(ordered: Sequence[Importance], *, title: str) -> str:
    """A bar for each feature, as SVG."""
    longest = max((importance.share for importance in ordered), default=0.0) or 1.0
    rows = []
    for place, importance in enumerate(ordered, start=2):
        width = round(BAR * importance.share / longest, 1)
        rows += [
            f'<text x="{LABEL - 8}" y="{place * ROW}" text-anchor="end">{escape(importance.feature)}</text>',
            f'<rect x="{LABEL}" y="{place * ROW - 11}" width="{width}" height="13" fill="#4878a8"/>',
            f'<text x="{LABEL + width + 5}" y="{place * ROW}">{importance.share:.1%}</text>',
        ]
    size = f'width="{LABEL + BAR + 70}" height="{(len(ordered) + 2) * ROW}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    paper = '<rect width="100%" height="100%" fill="white"/>'
    return "\n".join([head, paper, f'<text x="8" y="{ROW}" font-weight="bold">{escape(title)}</text>', *rows, "</svg>", ""])
