"""Texts from templates: what belongs to a missing value is left out with it."""

import itertools

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from seqrec.errors import UserError
from seqrec.texts.templates import cut_between, parse_template

TEXTS = {  # by the template: title, year and genres; then without each of them; then each alone; then none
    "{title} ({year}). Genres: {genres}": (
        ("Heat (1995). Genres: Crime", "(1995). Genres: Crime", "Heat. Genres: Crime", "Heat (1995)"),
        ("Heat", "(1995)", "Genres: Crime", None),
    ),
    "{title}, {year} min - by {genres}!": (
        ("Heat, 1995 min - by Crime!", "1995 min - by Crime!", "Heat - by Crime!", "Heat, 1995 min"),
        ("Heat", "1995 min", "by Crime!", None),
    ),
    'Film: "{title}" [{year}] {genres}': (
        ('Film: "Heat" [1995] Crime', "[1995] Crime", 'Film: "Heat" Crime', 'Film: "Heat" [1995]'),
        ('Film: "Heat"', "[1995]", "Crime", None),
    ),
    "{title}: {year}\n{genres}|{{x}}": (
        ("Heat: 1995\nCrime|{x}", "1995\nCrime|{x}", "Heat\nCrime|{x}", "Heat: 1995"),
        ("Heat", "1995", "Crime|{x}", None),
    ),
}
VALUES = {"title": "Heat", "year": "1995", "genres": "Crime"}


def test_what_belongs_to_a_missing_value_is_left_out(spark: SparkSession) -> None:
    """The rows are all, without title, without year, without genres; title, year and genres alone; nothing."""
    missing = [(), ("title",), ("year",), ("genres",), ("year", "genres"), ("title", "genres"), ("title", "year"), tuple(VALUES)]
    rows = [(place, *(None if name in gone else value for name, value in VALUES.items())) for place, gone in enumerate(missing)]
    table = spark.createDataFrame(rows, "place int, title string, year string, genres string")
    columns = {name: F.col(name) for name in VALUES}
    texts = [parse_template(template).text(columns).alias(str(number)) for number, template in enumerate(TEXTS)]
    found = table.orderBy("place").select(*texts).collect()
    for number, expected in enumerate(TEXTS.values()):
        assert [row[str(number)] for row in found] == list(itertools.chain(*expected))


def test_names_of_columns_may_hold_colons() -> None:
    template = parse_template("{movie_title:token_seq} by {a!b}, {movie_title:token_seq}")
    assert template.columns == ("movie_title:token_seq", "a!b")


@pytest.mark.parametrize(
    ("literal", "parts"),
    [
        (", ", ("", ", ", "")),
        (": ", ("", ": ", "")),
        (" | tags: ", ("", " | ", "tags: ")),
        ("%, rated ", ("%", ", ", "rated ")),
        ("/", ("", "/", "")),
        (" - (", ("", " - ", "(")),
    ],
)
def test_what_stands_between_columns_is_cut(literal: str, parts: tuple[str, str, str]) -> None:
    assert cut_between(literal) == parts


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("title", "template='title' names no column: write one in braces"),
        ("{}", "names no column"),
        ("{title", "'{title': expected '}' before end of string; columns stand in braces"),
        ("title}", "Single '}' encountered"),
    ],
)
def test_a_template_that_says_nothing_is_refused(template: str, said: str) -> None:
    with pytest.raises(UserError, match=said.replace("{", r"\{").replace("}", r"\}")):
        parse_template(template)
