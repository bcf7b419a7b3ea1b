"""Titles from files in the shapes that people have."""

import csv
import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seqrec.catalogue.titles import read_titles
from seqrec.errors import UserError

ML_100K = (
    "1|Toy Story (1995)|01-Jan-1995||http://us.imdb.com/M/title-exact?Toy|0|1\n"
    "2|GoldenEye (1995)|01-Jan-1995||http://us.imdb.com/M/title-exact?Golden|0|1\n"
    "543|Misérables, Les (1995)|01-Jan-1995||http://us.imdb.com/M/title-exact?Mis|1|1\n"
    "267|unknown||||1|0\n"
)
ML_1M = "1::Toy Story (1995)::Animation|Comedy\n2::Jumanji (1995)::Drama\n3::Heat (1995)::Drama\n4::Cats::Drama\n5::Ran::Drama\n"
ML_SMALL = 'movieId,title,genres\n1,Toy Story (1995),Drama\n11,"American President, The (1995)",Drama\n'


@pytest.mark.parametrize(
    ("name", "content", "item", "title", "words"),
    [
        ("u.item", ML_100K.encode("latin-1"), 543, "Misérables, Les (1995)", "without header, column 2, by 1; read as Latin-1"),
        ("torn.csv", "id,title\n1,é\n2,ü\n3,ñ\n4,".encode() + b"\xe9\n", 2, "ü", "1 lines with bytes that aren't UTF-8"),
        ("movies.dat", ML_1M, 3, "Heat (1995)", "without header, column 2, by 1"),
        ("movies.csv", ML_SMALL, 11, "American President, The (1995)", "column title, by movieId"),
        ("bom.csv", b"\xef\xbb\xbf" + ML_SMALL.encode(), 1, "Toy Story (1995)", "column title, by movieId"),
        ("utf16.csv", ML_SMALL.encode("utf-16"), 1, "Toy Story (1995)", "column title, by movieId; read as UTF-16"),
        ("crlf.csv.gz", gzip.compress(ML_SMALL.replace("\n", "\r\n").encode(), mtime=0), 1, "Toy Story (1995)", "by movieId"),
        ("ml.item", "item_id:token\tmovie_title:token_seq\tclass:token_seq\n7\tHeat\tDrama\n", 7, "Heat", "by item_id:token"),
        ("artists.dat", "id\tname\turl\n1\tMALICE MIZER\thttp://last.fm/1\n", 1, "MALICE MIZER", "column name, by id"),
        ("books.csv", "book_id,isbn,original_title,title\n1,0439,La Peste,The Plague\n", 1, "The Plague", "by book_id"),
        (
            "meta.jsonl",
            '{"asin": "B01", "title": "Pen", "tags": ["a"]}\n{"asin": "B02"}\n',
            "B01",
            "Pen",
            "1 without id or title",
        ),
        ("zeros.csv", "isbn;title\n0195153448;Mythology\n", "0195153448", "Mythology", "column title, by isbn"),
        ("floats.csv", "item_id,title\n318.0,Shawshank\n", 318, "Shawshank", "1 titles"),
        ("quotes.tsv", 'id\ttitle\n1\t"Great" Cats\n2\t5" nails\n', 2, '5" nails', "2 titles"),
        ("quoted.csv", '"id";"title"\n"1";"Heat"\n', 1, "Heat", "column title, by id"),
        ("lines.csv", 'id,title\n1,"two\nlines"\n', 1, "two\nlines", "column title, by id"),
        (
            "odd.csv",
            "id,title\n" + "".join(f"{n},T{n}\n" for n in range(40)) + "77,one, two\n",
            39,
            "T39",
            "1 lines of another width are left out",
        ),
        ("twice.csv", "id,title\n1,first\n2,b\n1,second\n", 1, "first", "1 repeat an id"),
        ("film.csv", "movie_id,film\n1,Heat\n2,Ran\n", 2, "Ran", "column film, by movie_id"),
    ],
)
def test_columns_are_found(tmp_path: Path, name: str, content: str | bytes, item: Any, title: str, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    titles = read_titles(str(path))
    assert titles.of(item) == title
    assert words in titles.words


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("asin,parent_asin,title\nB1,B1,Pen\n", r"asin, parent_asin could each be the column of ids; it has the columns asin"),
        ("item_id,movie_title,book_title\n1,Heat,Emma\n", "movie_title, book_title could each be the column of titles"),
        ("movieId,imdbId\n1,0114709\n", "no column is known for titles"),
        (
            "N1|sport|Long title one|An abstract\nN2|sport|Other title|Two words\n",
            "3, 4 could each be the column of titles; it has no",
        ),
        ("userId,movieId,name,timestamp\n1,7,x,1\n2,7,y,2\n3,7,z,3\n", "2 of 3 lines repeat an id of the column movieId"),
        ("just one column\nof text\n", "none of .* cuts its lines into equal columns; the first is 'just one column'"),
        ("id,title\n", "has a header, and no items below it"),
        ("", "is empty"),
        ('{"id": 1}\n[2]\n', "line 2 is no object"),
        ("PK\x03\x04", "is a ZIP archive"),
    ],
)
def test_what_is_not_clear_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "f").write_text(content)
    with pytest.raises(UserError, match=message):
        read_titles(str(tmp_path / "f"))


def test_named_columns_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text("asin,parent_asin,title\nB1,P1,Pen\n")
    assert read_titles(str(path), "parent_asin,title").of("P1") == "Pen"
    assert read_titles(str(path), "1, 3").of("B1") == "Pen"
    for columns, message in (
        ("asin", "'asin' names 1 columns: --title-columns ID,TITLE takes two"),
        ("asin,name", "has no column 'name', which --title-columns ID,TITLE names; it has asin, parent_asin, title"),
    ):
        with pytest.raises(UserError, match=message):
            read_titles(str(path), columns)
    with pytest.raises(UserError, match=r"nowhere\.csv: no such file"):
        read_titles(str(tmp_path / "nowhere.csv"))


def test_parquet_and_the_features_catalogue(tmp_path: Path) -> None:
    table = pa.table({"item_id": [1, 2], "genres": [["a"], []], "title": ["Heat", None]})
    pq.write_table(table, tmp_path / "items.parquet")
    assert read_titles(str(tmp_path / "items.parquet")).of(1) == "Heat"
    version = tmp_path / "features" / "20260101T000000Z-0000"
    (version / "item_catalogue").mkdir(parents=True)
    pq.write_table(table, version / "item_catalogue" / "part-0.parquet")
    (version / "item_catalogue" / "_SUCCESS").touch()
    (tmp_path / "features" / "CURRENT").write_text(f"{version.name}\n")
    for folder in (tmp_path / "features", version, version / "item_catalogue"):
        titles = read_titles(str(folder))
        assert (titles.of(1), titles.of(2), titles.shown(2)) == ("Heat", None, "item 2")


def test_titles_of_other_items_are_no_titles(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("movieId,title\n1,Heat\n2,Ran\n")
    titles = read_titles(str(tmp_path / "f.csv"))
    assert titles.mismatch([9, 2]) is None
    assert titles.mismatch([]) is None
    assert "but its ids ('1', '2', …) are none of the items' ('tt1', …)" in str(titles.mismatch(["tt1"]))


def test_a_small_file_leaves_others_as_long_cells_as_before(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    (tmp_path / "t.csv").write_text("id,title\n1,a\n2,b\n")
    read_titles(str(tmp_path / "t.csv"))
    assert csv.field_size_limit() >= limit
