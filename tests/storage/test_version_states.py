"""Versions through runs that write, die and commit in any order, against a dict of what each of them is."""

import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from seqrec.errors import UserError
from seqrec.storage import files, versions

KEEP = st.integers(1, 3)
INDEX = st.integers(0, 99)


class Versions(RuleBasedStateMachine):
    """A run is writing, then finished (whole, not committed), then over; a run that died while it wrote is dead."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="seqrec-versions-"))
        self.states: dict[str, str] = {}
        self.users: dict[str, list[str] | None] = {}
        self.current: str | None = None
        self.begun = 0

    def teardown(self) -> None:
        for run_id in self.of("writing", "finished"):
            self.let_go(run_id)
        shutil.rmtree(self.folder)

    def of(self, *states: str) -> list[str]:
        return sorted(run_id for run_id, state in self.states.items() if state in states)

    def let_go(self, run_id: str) -> None:
        """What the end of a process does to its lock."""
        versions._held.pop((files.absolute(str(self.folder)), run_id)).close()

    @rule(subset=st.booleans())
    def begin(self, subset: bool) -> None:
        run_id = f"20260101T{self.begun:06}Z-0000"
        self.begun += 1
        versions.claim(f"{self.folder}/{run_id}")
        table = self.folder / run_id / "items"
        table.mkdir(parents=True)
        pq.write_table(pa.table({"item_id": [1, 2]}), table / "part-0.parquet")
        self.states[run_id], self.users[run_id] = "writing", ["7"] if subset else None

    @precondition(lambda self: bool(self.of("writing")))
    @rule(index=INDEX)
    def finish(self, index: int) -> None:
        runs = self.of("writing")
        run_id = runs[index % len(runs)]
        (self.folder / run_id / "items" / "_SUCCESS").touch()
        versions.write_meta(f"{self.folder}/{run_id}", {"run_id": run_id, "users": self.users[run_id]})
        self.states[run_id] = "finished"

    @precondition(lambda self: bool(self.of("writing", "finished")))
    @rule(index=INDEX)
    def crash(self, index: int) -> None:
        runs = self.of("writing", "finished")
        run_id = runs[index % len(runs)]
        self.let_go(run_id)
        self.states[run_id] = "dead" if self.states[run_id] == "writing" else "over"

    @precondition(lambda self: bool(self.of("finished")))
    @rule(index=INDEX, keep=KEEP)
    def commit(self, index: int, keep: int) -> None:
        runs = self.of("finished")
        run_id = runs[index % len(runs)]
        versions.commit(str(self.folder), run_id, keep=keep)
        self.states[run_id] = "over"
        if self.users[run_id] is None:
            self.current = run_id
        self.take_over_removals(run_id, keep)

    def take_over_removals(self, run_id: str, keep: int) -> None:
        there = set(versions.run_ids(str(self.folder)))
        removed = self.states.keys() - there
        assert not [other for other in removed if other > run_id or other == self.current]
        assert not [other for other in removed if self.states[other] in ("writing", "finished")]
        like = [other for other in self.of("over") if other <= run_id and self.users[other] == self.users[run_id]]
        assert not removed & {*like[-keep:]}
        assert not there & {*like[:-keep]} - {self.current}
        assert not [other for other in self.of("dead") if other < run_id and other in there]
        assert not [other for other in removed - {*like} if self.states[other] == "over"]
        for other in removed:
            del self.states[other]

    @precondition(lambda self: len(self.of("finished")) > 1)
    @rule(keep=KEEP)
    def commit_two_at_once(self, keep: int) -> None:
        pair = self.of("finished")[:2]
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(lambda run_id: versions.commit(str(self.folder), run_id, keep=keep), pair))
        there = set(versions.run_ids(str(self.folder)))
        assert not [other for other in self.states.keys() - there if other > pair[1]]
        self.states = {run_id: "over" if run_id in pair else state for run_id, state in self.states.items() if run_id in there}
        whole = [run_id for run_id in pair if self.users[run_id] is None]
        if whole:
            self.current = versions.read_current(str(self.folder))
            assert self.current in whole

    @precondition(lambda self: any(self.users[run_id] is None for run_id in self.of("over")))
    @rule(index=INDEX)
    def go_back(self, index: int) -> None:
        """A person writes an older version into CURRENT."""
        runs = [run_id for run_id in self.of("over") if self.users[run_id] is None]
        self.current = runs[index % len(runs)]
        (self.folder / "CURRENT").write_text(self.current)

    @invariant()
    def readers_find_whole_versions(self) -> None:
        folder = str(self.folder)
        if self.current is None:
            with pytest.raises(UserError, match="has no finished version"):
                versions.resolve(folder)
        else:
            assert versions.resolve(folder) == f"{folder}/{self.current}"
            assert versions.read_meta(versions.resolve(folder))["users"] is None
        for run_id in self.of("finished", "over"):
            assert versions.table_files(f"{versions.resolve(folder, run_id)}/items") == ["part-0.parquet"]
        for run_id in self.of("writing"):
            assert (self.folder / run_id / "items" / "part-0.parquet").exists()


Versions.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
TestVersions = Versions.TestCase
