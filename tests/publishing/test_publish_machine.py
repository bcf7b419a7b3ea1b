"""Publications, kills, ways back and prunings in any order, against a dict; and readers who look all the while."""

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from pyspark.sql import SparkSession

from seqrec.errors import UserError
from seqrec.publishing import journal
from seqrec.storage import files
from seqrec.stores import milvus_alias, mongo_collection
from seqrec.stores.milvus_alias import MilvusAlias
from seqrec.stores.mongo import first_documents
from seqrec.stores.mongo_collection import MongoCollection
from tests.publishing.test_publish import Killed, Stores, _killer, write_version
from tests.stores.test_milvus import rows

VERSIONS = {
    "20260101T000000Z-aaaa": ([1, 2, 3], {"a": [1.0, 0.0], "b": [0.0, 1.0]}),
    "20260102T000000Z-bbbb": ([2, 3, 4], {"b": [1.0, 0.0], "c": [0.0, 1.0]}),
    "20260103T000000Z-cccc": ([3, 4, 5], {"c": [1.0, 0.0], "d": [0.0, 1.0]}),
}
ONE_PAIR = pytest.mark.parametrize(("mongodb", "milvus_server"), [("memory", "aliases")], indirect=True)
RUNS = st.sampled_from(list(VERSIONS))


@pytest.fixture(scope="module")
def written(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder with three versions."""
    output = tmp_path_factory.mktemp("written")
    for run_id, (users, items) in VERSIONS.items():
        write_version(spark, str(output), run_id, users, items=items)
    return output


@pytest.fixture
def stores(spark: SparkSession, collection: MongoCollection, alias: MilvusAlias, written: Path, tmp_path: Path) -> Stores:
    output = shutil.copytree(written, tmp_path / "output")
    return Stores(spark, collection, alias, str(output))


def run_of(runs: dict[Any, str], part: int) -> str | None:
    """The run that a store holds wholly; None where it holds nothing. Anything else fails."""
    if not runs:
        return None
    [run_id] = set(runs.values())
    assert sorted(runs) == sorted(VERSIONS[run_id][part])
    return run_id


def kill(stores: Stores, run_id: str, survived: int, *, before: bool) -> bool:
    """Publish, killed after so many steps, before or after the journal notes the last one; whether it ended instead."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(journal, "record", _killer(survived, before=before))
        try:
            stores.publish(run_id)
        except Killed:
            return False
    return True


def machine(stores: Stores, written: Path) -> type[RuleBasedStateMachine]:
    """The state machine of these stores, which each of its runs finds empty."""

    class Publications(RuleBasedStateMachine):
        model: dict[str, set[str | None]]

        @initialize()
        def begin(self) -> None:
            shutil.rmtree(stores.output)
            shutil.copytree(written, stores.output)
            with mongo_collection.connected(stores.collection, "dropping failed") as live:
                live.database.client.drop_database(stores.collection.database)
            with milvus_alias.connected(stores.alias, "dropping failed") as client:
                client.drop_alias(stores.alias.name)
                for name in client.list_collections():
                    client.drop_collection(name)
            self.model = {"mongodb": {None}, "milvus": {None}}

        @rule(run_id=RUNS)
        def publish(self, run_id: str) -> None:
            if not Path(stores.output, run_id).exists():
                with pytest.raises(UserError, match=f"{run_id} doesn't exist"):
                    stores.publish(run_id)
                return
            stores.publish(run_id)
            self.model = {"mongodb": {run_id}, "milvus": {run_id}}
            self.nothing_is_left_over()

        @rule(run_id=RUNS, survived=st.integers(0, 4), before=st.booleans())
        def killed(self, run_id: str, survived: int, before: bool) -> None:
            if Path(stores.output, run_id).exists():
                ended = kill(stores, run_id, survived, before=before)
                self.model = {name: {run_id} if ended else runs | {run_id} for name, runs in self.model.items()}

        @precondition(lambda self: len(list(Path(stores.output).glob("*Z-*"))) > 1)
        @rule(run_id=RUNS)
        def prune(self, run_id: str) -> None:
            files.remove(f"{stores.output}/{run_id}")

        def nothing_is_left_over(self) -> None:
            with mongo_collection.connected(stores.collection, "listing failed") as live:
                assert live.database.list_collection_names() == ["recommendations"]
                assert "publish_id_1" in live.index_information()
            with milvus_alias.connected(stores.alias, "listing failed") as client:
                assert len(client.list_collections()) <= 2
            assert json.loads(Path(stores.output, journal.FILE).read_text())["last"]["finished"]

        @invariant()
        def each_store_holds_one_version_wholly(self) -> None:
            documents = {document["_id"]: document["run_id"] for document in first_documents(stores.collection, 99)}
            with milvus_alias.connected(stores.alias, "asking failed") as client:
                published = client.has_collection(stores.alias.name)
            items = {item: row[2] for item, row in rows(stores.alias).items()} if published else {}
            for name, run_id in (("mongodb", run_of(documents, 0)), ("milvus", run_of(items, 1))):
                assert run_id in self.model[name]
                self.model[name] = {run_id}

    return Publications


@ONE_PAIR
def test_any_order_of_publications_kills_and_prunings(stores: Stores, written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish = stores.publish
    monkeypatch.setattr(stores, "publish", lambda run_id: publish(run_id, max_user_loss=1.0))
    run_state_machine_as_test(
        machine(stores, written),
        settings=hypothesis_settings(
            max_examples=2,
            stateful_step_count=6,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


@ONE_PAIR
def test_every_read_is_wholly_old_or_wholly_new(stores: Stores) -> None:
    old, new = list(VERSIONS)[:2]
    stores.publish(old)
    ended, seen, errors = threading.Event(), set[tuple[int, str | None]](), list[BaseException]()

    def look(part: int) -> None:
        try:
            while not ended.is_set():
                if part == 0:
                    runs = {document["_id"]: document["run_id"] for document in first_documents(stores.collection, 99)}
                else:
                    runs = {item: row[2] for item, row in rows(stores.alias).items()}
                assert runs
                seen.add((part, run_of(runs, part)))
        except BaseException as error:
            errors.append(error)

    readers = [threading.Thread(target=look, args=(part,)) for part in (0, 1)]
    for reader in readers:
        reader.start()
    for survived in range(7):
        if kill(stores, new, survived, before=bool(survived % 2)):
            break
    ended.set()
    for reader in readers:
        reader.join()
    assert errors == []
    assert seen == {(part, run_id) for part in (0, 1) for run_id in (old, new)}
    assert set(stores.standing()[0].values()) == {new}
