"""Publications into real stores: guards, resumption from every step, subsets, and the way back."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs import publish as job
from seqrec.errors import UserError
from seqrec.publishing import guards, journal
from seqrec.publishing import publish as publication
from seqrec.publishing.destinations import Destinations, to_milvus, to_mongodb
from seqrec.settings.publish import Guards
from seqrec.settings.stores import Milvus, Mongo
from seqrec.storage import versions
from seqrec.stores import milvus, mongo_collection
from seqrec.stores.checks import check_embeddings
from seqrec.stores.milvus_alias import MilvusAlias, MilvusServer
from seqrec.stores.mongo import first_documents
from seqrec.stores.mongo_collection import MongoCollection
from seqrec.stores.open_stores import Addresses, connect
from seqrec.tables import io, schemas
from tests.metas import lists_meta
from tests.servers import MILVUS_SERVERS, MONGO_SERVERS
from tests.stores.test_milvus import embeddings, rows

OLD, NEW = "20260101T000000Z-aaaa", "20260102T000000Z-bbbb"
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


class Killed(BaseException):
    """Ends a publication as a kill does: nothing catches it."""


def write_version(
    spark: SparkSession,
    output: str,
    run_id: str,
    users: list[int],
    *,
    items: dict[str, list[float]] | None = None,
    popular: int = 0,
    empty: int = 0,
    subset: str | None = None,
) -> None:
    """What batch_recommend leaves."""
    path = f"{output}/{run_id}"
    table = recommendations(spark, users, popular=popular, empty=empty).withColumn("run_id", F.lit(run_id))
    io.write_table(table, f"{path}/recommendations", table.schema)
    vectors = embeddings(spark, items or {"a": [1.0, 0.0]})
    io.write_table(vectors, f"{path}/item_embeddings", vectors.schema)
    counts = {"users": len(users), "item_embeddings": len(items or "a")}
    versions.write_meta(path, {**lists_meta(run_id), "users": subset, "counts": counts, "available": 1})
    versions.commit(output, run_id, keep=5)


class Stores:
    """The stores of a test, published to with the settings' defaults."""

    def __init__(self, spark: SparkSession, collection: MongoCollection, alias: MilvusAlias, output: str) -> None:
        self.spark, self.collection, self.alias, self.output = spark, collection, alias, output

    def publish(
        self,
        run_id: str,
        *,
        users: list[int] | None = None,
        dry_run: bool = False,
        fields: dict[str, Any] | None = None,
        **limits: float,
    ) -> None:
        table = None if users is None else self.spark.createDataFrame([(user,) for user in users], "user_id bigint")
        mode: Literal["swap", "auto"] = "swap" if self.collection.server.renames else "auto"
        destinations = Destinations(
            mongodb=to_mongodb(self.collection.server, Mongo(database=self.collection.database, mode=mode, **(fields or {}))),
            milvus=to_milvus(self.alias.server, Milvus(alias=self.alias.name, index="FLAT")),
        )
        version, guarded = f"{self.output}/{run_id}", Guards(**limits)
        publication.publish(self.spark, destinations, version, limits=guarded, users=table, dry_run=dry_run)

    def standing(self) -> tuple[dict[int, str], dict[str, str]]:
        """Run ids by user in MongoDB, and by item in Milvus."""
        documents = {document["_id"]: document["run_id"] for document in first_documents(self.collection, 99)}
        return documents, {item: row[2] for item, row in rows(self.alias).items()}


@pytest.fixture(scope="session")
def written(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder with the versions OLD, of users 1, 2, 3, and NEW, of users 2, 3, 4."""
    output = tmp_path_factory.mktemp("written")
    write_version(spark, str(output), OLD, [1, 2, 3], items={"a": [1.0, 0.0], "b": [0.0, 1.0]})
    write_version(spark, str(output), NEW, [2, 3, 4], items={"b": [1.0, 0.0], "c": [0.0, 1.0]})
    return output


@pytest.fixture
def stores(spark: SparkSession, collection: MongoCollection, alias: MilvusAlias, written: Path, tmp_path: Path) -> Stores:
    """Stores that hold the version OLD; NEW is ready to be published."""
    output = shutil.copytree(written, tmp_path / "output")
    stores = Stores(spark, collection, alias, str(output))
    stores.publish(OLD)
    return stores


PAIRS = [("h2", "lite"), ("memory", "aliases"), *((name, "lite") for name in MONGO_SERVERS if name == "server")]
PAIRS += [("memory", name) for name in MILVUS_SERVERS if name == "server"]
EVERY_WAY = pytest.mark.parametrize(("mongodb", "milvus_server"), PAIRS, indirect=True)
ONE_PAIR = pytest.mark.parametrize(("mongodb", "milvus_server"), [("memory", "lite")], indirect=True)


def whole(users: list[int], items: list[str], run_id: str) -> tuple[dict[int, str], dict[str, str]]:
    return dict.fromkeys(users, run_id), dict.fromkeys(items, run_id)


@EVERY_WAY
def test_publish_and_back(stores: Stores) -> None:
    assert stores.standing() == whole([1, 2, 3], ["a", "b"], OLD)
    stores.publish(NEW)
    assert stores.standing() == whole([2, 3, 4], ["b", "c"], NEW)
    stores.publish(OLD)
    assert stores.standing() == whole([1, 2, 3], ["a", "b"], OLD)
    ended = json.loads(Path(stores.output, journal.FILE).read_text())["ended"]
    assert [(entry["run_id"], entry["users"]) for entry in ended] == [(OLD, 3), (NEW, 3), (OLD, 3)]
    assert sorted(entry["publish_id"] for entry in ended) == [entry["publish_id"] for entry in ended]


@EVERY_WAY
def test_killed_after_any_step_it_is_simply_run_again(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    for run_id, before in ((NEW, True), (OLD, False)):
        _kill_at_each_step(stores, run_id, monkeypatch, before=before)
    assert stores.standing() == whole([1, 2, 3], ["a", "b"], OLD)
    with mongo_collection.connected(stores.collection, "listing failed") as live:
        assert live.database.list_collection_names() == ["recommendations"]


def carried(stores: Stores) -> list[dict[str, Any]]:
    """The items of a user's document, without their score."""
    [document, *_] = first_documents(stores.collection, 1)
    return [{name: value for name, value in entry.items() if name != "score"} for entry in document["items"]]


@ONE_PAIR
def test_items_carry_titles(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="seqrec")
    (tmp_path / "films.csv").write_text('asin,name,year\na,"Heat, the film",1995\nz,Ran,1985\n')
    fields = {"item_table": str(tmp_path / "films.csv"), "item_columns": ["title", "made=year"]}
    with monkeypatch.context() as patched:
        patched.setattr(journal, "record", _killer(1, before=False))
        with pytest.raises(Killed):
            stores.publish(OLD)
    stores.publish(OLD, fields=fields)
    assert carried(stores) == [{"item_id": "a", "title": "Heat, the film", "made": "1995"}]
    assert f"title, made of {tmp_path}/films.csv, by asin: 1 of 2 items have them, the others null" in caplog.text
    assert "going on with publication" not in caplog.text
    more = "20260103T000000Z-cccc"
    write_version(stores.spark, stores.output, more, [1, 2, 3, 4, 5])
    stores.publish(more, fields=fields)
    with pytest.raises(UserError, match=r"has 3 users, the last publication 5: more than guards.max_user_loss"):
        stores.publish(OLD, fields=fields)
    (tmp_path / "films.csv").write_text("asin,name\nB1,Heat\n")
    with pytest.raises(
        UserError, match=r"its ids \('B1', …\) are none of the items' \('a', 'b', …\): say by mongo.item_key=COLUMN"
    ):
        stores.publish(OLD, fields={**fields, "item_columns": ["title"]}, max_user_loss=1.0)
    assert stores.standing()[0] == dict.fromkeys([1, 2, 3, 4, 5], more)
    stores.publish(OLD, max_user_loss=1.0)
    assert carried(stores) == [{"item_id": "a"}]


def _kill_at_each_step(stores: Stores, run_id: str, monkeypatch: pytest.MonkeyPatch, *, before: bool) -> None:
    """Run, killed one step later each time, before or after the journal notes it; all runs are one publication."""
    publish_ids = set()
    for survived in range(9):
        with monkeypatch.context() as patched:
            patched.setattr(journal, "record", _killer(survived, before=before))
            try:
                stores.publish(run_id)
                ended = True
            except Killed:
                ended = False
        publish_ids.add(json.loads(Path(stores.output, journal.FILE).read_text())["last"]["publish_id"])
        if ended:
            break
    assert len(publish_ids) == 1
    assert survived >= 4
    assert set(stores.standing()[0].values()) | set(stores.standing()[1].values()) == {run_id}


def _killer(survived: int, *, before: bool) -> Any:
    record, steps = journal.record, []

    def killing(publication: journal.Publication, step: str) -> None:
        steps.append(step)
        if not before or len(steps) <= survived:
            record(publication, step)
        if len(steps) > survived:
            raise Killed

    return killing


@ONE_PAIR
def test_another_version_takes_over_from_a_killed_one(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(journal, "record", _killer(0, before=True))
        with pytest.raises(Killed):
            stores.publish(NEW)
    stores.publish(OLD)
    assert stores.standing() == whole([1, 2, 3], ["a", "b"], OLD)
    with mongo_collection.connected(stores.collection, "listing failed") as live:
        assert live.database.list_collection_names() == ["recommendations"]


@EVERY_WAY
def test_a_subset_is_upserted_and_leaves_the_rest(stores: Stores) -> None:
    stores.publish(NEW, users=[4, 2, 77])
    assert stores.standing() == ({1: OLD, 2: NEW, 3: OLD, 4: NEW}, {"a": OLD, "b": OLD})
    write_version(stores.spark, stores.output, "20260103T000000Z-cccc", [9], popular=1, subset="1 user")
    stores.publish("20260103T000000Z-cccc")
    assert stores.standing()[0] == {1: OLD, 2: NEW, 3: OLD, 4: NEW, 9: "20260103T000000Z-cccc"}


@ONE_PAIR
def test_a_dry_run_writes_nothing(stores: Stores) -> None:
    before = Path(stores.output, journal.FILE).read_bytes()
    stores.publish(NEW, dry_run=True)
    assert stores.standing() == whole([1, 2, 3], ["a", "b"], OLD)
    assert Path(stores.output, journal.FILE).read_bytes() == before


def recommendations(spark: SparkSession, users: list[int], *, popular: int = 0, empty: int = 0, score: float = 0.5) -> DataFrame:
    """So many of the users get the popular list, and so many an empty one; the others one item."""
    lists = [
        (user, [("a", score)] if row >= empty else [], "popular" if row < popular else "model", "sasrec", OLD, WHEN)
        for row, user in enumerate(users)
    ]
    return spark.createDataFrame(lists, schemas.recommendations(schemas.IDS["bigint"], schemas.IDS["string"]))


@pytest.mark.parametrize(
    ("users", "differences", "message"),
    [
        ([1, 2], {}, "has 2 users, the last publication 3: more than guards.max_user_loss=0.1"),
        ([1, 2, 3], {"popular": 2}, "2 of 3 users get the popular list, more than guards.max_popular_share=0.5"),
        ([1, 2, 3], {"score": float("nan")}, "3 users have scores that aren't finite, e.g. user 1"),
        ([1, 2, 3], {"score": float("-inf")}, "3 users have scores that aren't finite, e.g. user 1"),
        ([1, 2, 3], {"empty": 1}, "1 of 3 users get an empty list, more than guards.max_empty_share=0.1; raise it if"),
        (
            list(range(20)),
            {"wanted": 3},
            "20 of 20 users get less than half of the 3 items that a full list has, more than guards.max",
        ),
        ([], {}, "holds no users to publish"),
        ([1, 2, 3, 3], {}, "1 values of user_id repeat"),
    ],
)
def test_guards_of_recommendations(spark: SparkSession, users: list[int], differences: dict[str, Any], message: str) -> None:
    wanted = differences.pop("wanted", 2)
    table = recommendations(spark, users, **differences)
    with pytest.raises(UserError) as caught:
        guards.check_recommendations(table, path="t", previous=3, wanted=wanted, limits=Guards(), partial=False)
    assert message in str(caught.value)


def test_guards_let_pass(spark: SparkSession) -> None:
    table = recommendations(spark, [1, 2, 3, 4], popular=2)
    limits = Guards(max_user_loss=0.2, max_popular_share=0.5)
    assert guards.check_recommendations(table, path="t", previous=5, wanted=2, limits=limits, partial=False) == 4
    limits = Guards(max_user_loss=0.0, max_popular_share=0.0, max_short_share=0.0)
    assert guards.check_recommendations(table, path="t", previous=5, wanted=9, limits=limits, partial=True) == 4


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ({"a": [1.0], "b": [1.0, 2.0]}, "1 of 2 embeddings are not 2 wide, e.g. that of item_id 'a' has 1 values"),
        ({"a": [1.0, float("inf")]}, "1 of 1 embeddings aren't finite, e.g. that of item_id 'a'"),
        ({"a": []}, "holds no embeddings"),
        ({"it's": [1.0]}, "without ' or the character 0, not \"it's\"; use a Milvus server"),
        ({"\0": [1.0]}, "without ' or the character 0, not '\\x00'; use a Milvus server"),
        ({"é" * 32768: [1.0]}, "at most 65535 bytes, without ' or the character 0, not 'ééé"),
    ],
)
def test_guards_of_items(spark: SparkSession, items: dict[str, list[float]], message: str) -> None:
    lite = MilvusAlias(server=MilvusServer(uri="", token="", name="lite", aliases=False), name="a")
    with pytest.raises(UserError) as caught:
        check_embeddings(embeddings(spark, items), lite, path="t")
    assert message in str(caught.value)


@ONE_PAIR
def test_a_guard_leaves_the_stores_as_they_were(stores: Stores) -> None:
    write_version(stores.spark, stores.output, NEW, [1, 2])
    with pytest.raises(UserError, match="has 2 users, the last publication 3"):
        stores.publish(NEW)
    assert stores.standing() == whole([1, 2, 3], ["a", "b"], OLD)


@ONE_PAIR
@pytest.mark.parametrize(("counted", "name"), [("users", "recommendations"), ("item_embeddings", "item_embeddings")])
def test_a_table_of_other_rows_than_were_counted_is_refused(stores: Stores, counted: str, name: str) -> None:
    path = f"{stores.output}/{NEW}"
    meta = versions.read_meta(path)
    rows = meta["counts"][counted]
    versions.write_meta(path, {**meta, "counts": {**meta["counts"], counted: rows + 1}})
    with pytest.raises(UserError, match=rf"{name} has {rows} rows, .*meta.json says {rows} and {rows + 1}: parts of it are gone"):
        stores.publish(NEW)
    assert stores.standing() == whole([1, 2, 3], ["a", "b"], OLD)


@ONE_PAIR
def test_a_table_that_lost_a_part_is_refused(stores: Stores) -> None:
    next(Path(stores.output, NEW, "recommendations").glob("part-*.parquet")).unlink()
    with pytest.raises(UserError, match="is missing, one of the"):
        stores.publish(NEW)
    assert stores.standing() == whole([1, 2, 3], ["a", "b"], OLD)


@ONE_PAIR
def test_empty_lists_stop_the_whole_and_say_how_many(stores: Stores) -> None:
    write_version(stores.spark, stores.output, NEW, [2, 3, 4], empty=3)
    with pytest.raises(UserError, match=r"3 of 3 users get an empty list, more than guards.max_empty_share=0.1"):
        stores.publish(NEW)
    assert stores.standing() == whole([1, 2, 3], ["a", "b"], OLD)
    stores.publish(NEW, max_empty_share=1.0, max_short_share=1.0)


@ONE_PAIR
def test_an_error_says_which_store_has_changed_already(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any, **options: Any) -> None:
        raise UserError("Milvus broke")

    monkeypatch.setattr(milvus, "upsert", broken)
    with pytest.raises(UserError, match=r"^Milvus broke \(before that: MongoDB switched\)$"):
        stores.publish(NEW)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "it holds list, expected an object"),
        ("null", "it holds NoneType"),
        ("{}", "it lacks last, abandoned, ended"),
        ('{"last": null, "abandoned": 3, "ended": []}', "abandoned is int, expected a list"),
        ('{"last": {"publish_id": "p"}, "abandoned": [], "ended": []}', "lacks run_id, stores, whole, steps, finished"),
        ("{", "is not valid JSON"),
    ],
)
def test_an_odd_journal_is_said_on_one_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / journal.FILE).write_text(content)
    with pytest.raises(UserError, match=r"PUBLISHED.json .*move it away and publish again") as caught:
        journal.previous_users(str(tmp_path), "MongoDB")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_journal_keeps_an_older_release_s_entries_as_they_are(tmp_path: Path) -> None:
    old = {"publish_id": "20260101T000000000000Z-0000", "run_id": OLD, "stores": ["s"], "whole": True, "steps": ["a"]}
    old |= {"finished": "2026-01-01T00:00:00+00:00", "more": 1}
    (tmp_path / journal.FILE).write_text(json.dumps({"last": old, "abandoned": [], "ended": [old]}))
    publication = journal.begin(str(tmp_path), run_id=NEW, stores=["s"], whole=True, standing=[])
    begun = json.loads((tmp_path / journal.FILE).read_text())
    assert list(begun["last"]) == ["publish_id", "run_id", "stores", "whole", "steps", "finished", "started"]
    journal.record(publication, "a")
    journal.finish(publication, users=7)
    ended = json.loads((tmp_path / journal.FILE).read_text())
    assert ended["ended"] == [old, ended["last"]]
    assert ended["last"] == {**begun["last"], "steps": ["a"], "finished": ended["last"]["finished"], "users": 7}
    assert journal.previous_users(str(tmp_path), "s") == 7


def test_nothing_to_publish_to_is_said(spark: SparkSession, written: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        publication.publish(spark, Destinations(), f"{written}/{NEW}", limits=Guards())
    messages = [record.getMessage() for record in caplog.records if record.name == "seqrec"]
    assert messages == ["nothing is published: MONGODB_URI and MILVUS_URI are none"]


@ONE_PAIR
def test_lists_of_held_out_histories_are_published_where_it_is_meant(stores: Stores) -> None:
    write_version(stores.spark, stores.output, NEW, [1, 2, 3])
    path = f"{stores.output}/{NEW}"
    versions.write_meta(path, versions.read_meta(path) | {"history": "test"})
    with pytest.raises(UserError, match="has lists of history=test, which leaves out what users had last"):
        stores.publish(NEW)
    assert stores.standing() == whole([1, 2, 3], ["a", "b"], OLD)
    stores.publish(NEW, any_history=True)
    assert stores.standing() == whole([1, 2, 3], ["a"], NEW)


@ONE_PAIR
def test_guards_can_be_widened(stores: Stores) -> None:
    write_version(stores.spark, stores.output, NEW, [5], popular=1)
    stores.publish(NEW, max_user_loss=0.7, max_popular_share=1.0)
    assert stores.standing() == whole([5], ["a"], NEW)


@ONE_PAIR
def test_two_publications_of_an_output_do_not_meet(stores: Stores) -> None:
    with journal.locked(stores.output), pytest.raises(UserError, match=f"held by process {os.getpid()}"):
        stores.publish(NEW)


def test_a_new_publication_sorts_after_what_stands(tmp_path: Path) -> None:
    ahead = "29990101T000000000000Z-ffff"
    begun = journal.begin(str(tmp_path), run_id=NEW, stores=["s"], whole=True, standing=[ahead])
    assert begun.publish_id > ahead
    again = journal.begin(str(tmp_path), run_id=NEW, stores=["s"], whole=True, standing=[ahead])
    assert (again.publish_id, again.resumed) == (begun.publish_id, True)
    superseded = journal.begin(str(tmp_path), run_id=NEW, stores=["s"], whole=True, standing=["29990102T000000000000Z-0000"])
    assert not superseded.resumed
    assert journal.is_dead(str(tmp_path), begun.publish_id)
    assert not journal.is_dead(str(tmp_path), superseded.publish_id)
    assert journal.is_dead(str(tmp_path), "20200101T000000000000Z-0000")


def test_embedded_stores_are_refused_on_a_cluster(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqrec.command.session.runs_locally", lambda _: False)
    with (
        pytest.raises(UserError, match="the embedded stores are for one machine"),
        connect(spark, Addresses(mongodb="embedded")),
    ):
        pass


@contextmanager
def environment(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        for name, value in {"SEQREC_ROOT": str(root), "MONGODB_URI": "embedded", "MILVUS_URI": "embedded"}.items():
            patched.setenv(name, value)
        yield


KILLED_BETWEEN_THE_SWITCHES = """
import os, signal, sys
from jobs import publish
from seqrec.publishing.deliveries import VectorDelivery
VectorDelivery.switch = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
publish.main(sys.argv[1:])
"""


def test_the_job_goes_on_after_kill_9_between_the_switches(
    spark: SparkSession, written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, conf = str(shutil.copytree(written, tmp_path / "output")), ["--conf", "conf/publish.yaml"]
    with environment(tmp_path, monkeypatch):
        job.main([*conf, f"version={OLD}"])
        killed = subprocess.run([sys.executable, "-c", KILLED_BETWEEN_THE_SWITCHES, *conf], capture_output=True, check=False)
        assert killed.returncode == -9, killed.stderr.decode()[-2000:]
        assert json.loads(Path(output, journal.FILE).read_text())["last"]["steps"] == ["MongoDB switched"]
        job.main(conf)
        with connect(spark, Addresses(mongodb="embedded", milvus="embedded")) as opened:
            documents = first_documents(opened.require_mongodb().collection("seqrec", "recommendations"), 9)
            assert {document["_id"]: document["run_id"] for document in documents} == dict.fromkeys([2, 3, 4], NEW)
            assert {row[2] for row in rows(opened.require_milvus().alias("item_embeddings")).values()} == {NEW}
    ended = json.loads(Path(output, journal.FILE).read_text())["ended"]
    assert [entry["run_id"] for entry in ended] == [OLD, NEW]


def test_the_job_says_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = ["--conf", "conf/publish.yaml"]
    with environment(tmp_path, monkeypatch):
        with pytest.raises(SystemExit, match="has no finished version"):
            job.main(conf)
        monkeypatch.delenv("MONGODB_URI")
        with pytest.raises(SystemExit, match="MONGODB_URI is unset or empty"):
            job.main(conf)
