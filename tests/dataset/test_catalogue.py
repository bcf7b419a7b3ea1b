"""Items that nobody rated come into the vocabulary by a catalogue."""

import json
import logging
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from jobs.build_sequences import run
from seqrec.command.config import load_config
from seqrec.dataset.catalogue_items import CatalogueSource, read_catalogue
from seqrec.dataset.head import settle_table
from seqrec.errors import UserError
from seqrec.settings.build_sequences import BuildSequences
from seqrec.storage import versions

CONF = str(Path(__file__).parents[2] / "conf" / "build_sequences.yaml")
RATED = [(user, item, 10 * user + place) for user in range(1, 5) for place, item in enumerate((1, 2, 3, 4, 5, user + 5))]
SMALL = ("k_core.users=0", "k_core.items=2", "min_rating=null")


def build(folder: Path, *overrides: str) -> Path:
    """Run the job on RATED and whatever `late` rows ratings.csv has already; the folder of the version."""
    if not (folder / "ratings.csv").exists():
        write_ratings(folder, RATED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQREC_ROOT", str(folder))
        run(load_config(BuildSequences, CONF, [*SMALL, *overrides]))
    return Path(versions.resolve(f"{folder}/dataset"))


def write_ratings(folder: Path, rows: list[tuple[int, int, int]]) -> None:
    lines = (f"{user},{item},4,{1_000_000_000 + time}" for user, item, time in rows)
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(lines) + "\n")


def write_catalogue(folder: Path, ids: list[Any]) -> str:
    path = folder / "movies.csv"
    path.write_text("movieId,title\n" + "".join(f"{item},Film number {item}\n" for item in ids))
    return f"catalogue={path}"


def read_alone(spark: SparkSession, cfg: BuildSequences) -> None:
    """Read the catalogue as the job does, without ratings: they have no part in it."""
    wanted = cfg.catalogue.wanted("catalogue")
    assert wanted is not None
    source = CatalogueSource(table=settle_table(wanted), id=cfg.catalogue.id, max_bad_share=cfg.max_bad_share)
    read_catalogue(spark, source, kind="bigint")


def rows_of(version: Path, name: str) -> list[str]:
    return sorted(map(str, pq.read_table(version / name).to_pylist()))


def items_of(version: Path) -> list[tuple[Any, int, int]]:
    rows = pq.read_table(version / "items").to_pylist()
    return sorted(((row["item_id"], row["item_idx"], row["count"]) for row in rows), key=lambda row: row[1])


def test_items_without_a_rating_come_last_in_the_order_of_their_ids(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """1 to 5 are in the core, 4 and 5 held out; 6 to 9 were rated once, 20 and 0 never; of 9 rated items the catalogue lacks 3.

    An extension by a larger catalogue adds at its end, and the same catalogue again adds nothing.
    """
    plain = build(tmp_path)
    with caplog.at_level(logging.INFO):
        version = build(tmp_path, write_catalogue(tmp_path, [20, 1, 2, 0, 5, 4, 6, 7]))
    core = [(1, 2, 4), (2, 3, 4), (3, 4, 4), (4, 5, 0), (5, 6, 0)]
    assert items_of(plain) == core
    assert items_of(version) == [*core, (0, 7, 0), (6, 8, 0), (7, 9, 0), (20, 10, 0)]
    stats = json.loads((version / "stats.json").read_text())["items"]
    assert stats == {"vocabulary": 9, "with_training_events": 3, "catalogue_alone": 4}
    assert "has 8 items: 75.0 % of them are rated or known, and it has 66.7 % of the 9 rated items" in caplog.text
    for name in ("events", "windows", "valid", "test"):
        assert rows_of(version, name) == rows_of(plain, name)
    larger = build(tmp_path, write_catalogue(tmp_path, [20, 1, 2, 0, 5, 4, 6, 7, 10]), f"vocabulary={version}")
    assert items_of(larger) == [*items_of(version), (10, 11, 0)]
    again = build(tmp_path, f"catalogue={tmp_path}/movies.csv", f"vocabulary={larger}")
    metas = [json.loads((folder / "meta.json").read_text())["vocabulary"] for folder in (version, larger, again)]
    assert metas[1]["lineage"][:-1] == metas[0]["lineage"]
    assert metas[2] == metas[1]


def test_an_item_that_is_new_after_the_first_cut_can_be_tested_on(spark: SparkSession, tmp_path: Path) -> None:
    """30 is first rated after the cut: with a catalogue it is user 1's target, and nothing is trained on it."""
    write_ratings(tmp_path, [*RATED, (1, 30, 500), (1, 1, 900)])
    cuts = "split_times=[1000000400, 1000000800]"
    version = build(tmp_path, cuts, write_catalogue(tmp_path, [1, 2, 3, 4, 30]))
    [(_, new, count)] = [row for row in items_of(version) if row[0] == 30]
    assert [(row["user_id"], row["targets"]) for row in pq.read_table(version / "valid").to_pylist()] == [(1, [new])]
    assert count == 0
    assert not any(new in row["items"] for row in pq.read_table(version / "windows").to_pylist())


def test_a_catalogue_of_other_ids_is_refused_and_nothing_is_written(spark: SparkSession, tmp_path: Path) -> None:
    path = write_catalogue(tmp_path, [101, 102]).partition("=")[2]
    said = r"movies.csv: 0 % of its 2 items \(101, 102, …\) are rated \(1, 2, 3, …\): set catalogue.id to the col"
    with pytest.raises(UserError, match=said):
        build(tmp_path, f"catalogue.path={path}")
    assert versions.CURRENT not in [path.name for path in tmp_path.glob("dataset/*")]


@pytest.mark.parametrize(
    ("ids", "overrides", "said"),
    [
        (["a", "b", 1], [], "2 of 3 values of movieId are no bigint ids, such as 'a', .*: check catalogue.id, or set input.id_"),
        ([1, 2], ["catalogue.id=asin"], "has no column 'asin', which catalogue.id names; it has movieId, title"),
        ([1, 2], ["catalogue.names=[a, b]"], "no column is known as the id of an item; it has a, b: set catalogue.id=COLUMN"),
        ([], [], r"movies\.csv has no rows: give a table of all items as catalogue\.path, or set it to null"),
        ([1, 2], ["catalogue.header=false"], r"has no header: set catalogue.names=\[item_id, …\]"),
    ],
)
def test_a_catalogue_that_cannot_be_read_is_refused(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ids: list[Any], overrides: list[str], said: str
) -> None:
    monkeypatch.setenv("SEQREC_ROOT", str(tmp_path))
    path = write_catalogue(tmp_path, ids).partition("=")[2]
    cfg = load_config(BuildSequences, CONF, ["input.path=x", f"catalogue.path={path}", *overrides])
    with pytest.raises(UserError, match=said):
        read_alone(spark, cfg)
