"""What is shown of an input and kept of it, and what is looked at beyond its first rows."""

import zipfile
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs import build_sequences
from seqrec.command.config import load_config
from seqrec.dataset import detect as detection
from seqrec.dataset.detect import GIVEN, DetectedInput, detect, guard_users
from seqrec.errors import UserError
from seqrec.settings.build_sequences import BuildSequences, Input
from seqrec.storage import versions
from tests.dataset.shapes import CONF, EVENTS, iso, lines


def look(spark: SparkSession, path: Path, *given: str) -> DetectedInput:
    source = load_config(BuildSequences, CONF, ["data=d", f"input.path={path}", *given]).input
    return detect(spark, source.wanted_ratings, source.wanted_columns)


def test_a_dry_run_shows_what_was_understood_and_writes_nothing(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.csv"
    path.write_text(lines(lambda e: (e.user, e.item, e.stars, iso(e), "x"), mark=";", header="Kunde;Artikel;Note;Datum;Ort"))
    build_sequences.main(["--conf", CONF, "--dry-run", f"input.path={path}", f"data={tmp_path}/data"])
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert shown[5][:10] == ["timestamp", "Datum", "a", "known", "name,", "and", "dates", "in", "ISO", "8601"]
    assert shown[5][-3:] == ["input.columns.timestamp=COLUMN", "or", "null"]
    assert ["unused:", "Ort"] in shown
    first = EVENTS[0]
    assert [str(first.user), str(first.item), str(first.stars), *iso(first).split()] in shown
    assert ["72", "rows"] in shown
    assert sorted(file.name for file in tmp_path.iterdir()) == ["r.csv"]


def test_a_dry_run_of_a_packed_file_leaves_nothing(spark: SparkSession, tmp_path: Path) -> None:
    text = lines(lambda e: (e.user, e.item, e.stars, iso(e)), header="user,item,rating,time")
    with zipfile.ZipFile(tmp_path / "r.zip", "w") as archive:
        archive.writestr("r.csv", text)
    for folder in ("new/data", "old"):
        build_sequences.main(["--conf", CONF, "--dry-run", f"input.path={tmp_path}/r.zip", f"data={tmp_path}/{folder}"])
        (tmp_path / "old").mkdir(exist_ok=True)
    with pytest.raises(SystemExit, match=r"input\.columns\.user_id"):
        build_sequences.main(
            ["--conf", CONF, "--dry-run", f"input.path={tmp_path}/r.zip", f"data={tmp_path}/new", "input.columns.user_id=x"]
        )
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["old", "r.zip"]


def test_the_dataset_keeps_how_it_was_read(spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "r.tsv"
    path.write_text(lines(lambda e: (e.user, e.item), mark="\t"))
    build_sequences.main(["--conf", CONF, f"input.path={path}", f"data={tmp_path}/data", "k_core={users: 2, items: 0}"])
    kept = versions.read_meta(versions.resolve(f"{tmp_path}/data"))["settings"]["input"]
    source = Input.model_validate(kept)
    again = detect(spark, source.wanted_ratings, source.wanted_columns)
    assert (kept["delimiter"], kept["header"], kept["names"]) == ("\t", False, ["column_1", "column_2"])
    assert (again.columns.user_id, again.columns.item_id, again.columns.timestamp) == ("column_1", "column_2", None)
    assert {choice.why for choice in again.choices} == {GIVEN}
    assert "has no column that looks like a time, so a user's events are in the order of the lines" in caplog.text


def test_a_column_is_only_without_repeats_if_the_whole_table_says_so(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first 100 of 300 rows have each another user, as the first of millions of reviews have."""
    monkeypatch.setattr(detection, "ROWS", 100)
    path, rows = tmp_path / "r.csv", [(place % 120, place % 7, 1_500_000_000 + place) for place in range(300)]
    header = "user,item,time\n"
    path.write_text(header + "".join(f"{user},{item},{time}\n" for user, item, time in rows))
    assert look(spark, path).columns.user_id == "user"
    path.write_text(header + "".join(f"{place},{item},{time}\n" for place, (_, item, time) in enumerate(rows)))
    with pytest.raises(UserError, match="the user would be user, but hardly any value is there twice"):
        look(spark, path)
    assert look(spark, path, "input.columns.user_id=user").columns.user_id == "user"


def test_which_of_two_is_the_user_is_counted_in_the_whole_table(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is sorted by user, so that its first rows have fewer users than items."""
    monkeypatch.setattr(detection, "ROWS", 100)
    path = tmp_path / "r.txt"
    path.write_text("".join(f"{place // 10}\t{place * 7 % 23}\n" for place in range(300)))
    assert look(spark, path).columns.user_id == "column_1"
    path.write_text("".join(f"{place // 30}\t{place * 7 % 23}\n" for place in range(300)))
    with pytest.raises(UserError, match=r"column_1 has fewer values \(10\) than column_2 \(23\)"):
        look(spark, path)


def test_hardly_any_user_with_two_ratings_is_refused_where_the_user_was_guessed(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(lines(lambda e: (e.user, e.item, e.time), header="user,item,time"))
    guard_users(look(spark, path), users=94, ratings=100)
    with pytest.raises(UserError, match=r"the column user \(a known name\) has 96 values in 100 ratings"):
        guard_users(look(spark, path), users=96, ratings=100)
    guard_users(look(spark, path, "input.columns.user_id=user"), users=96, ratings=100)


def test_names_are_given_for_all_cells(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(lines(lambda e: (e.user, e.item, e.stars, e.time)))
    with pytest.raises(UserError, match=r"input\.names has 2 names, but the lines have 4 cells"):
        look(spark, path, "input.names=[user, item]")
