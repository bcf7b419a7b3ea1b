"""MODEL/epochs.jsonl: what a training has reached at its validations."""

import json

from seqrec.storage import files

Record = dict[str, float]  # integers and the boolean `best` too


class EpochsFile:
    """MODEL/epochs.jsonl, with a record a line.

    Records after the step from which a run continues are dropped: the run makes them again.
    """

    def __init__(self, folder: str, *, step: int) -> None:
        self.path = files.join(folder, "epochs.jsonl")
        self.records = [record for record in read_records(folder) if record["step"] <= step]
        self._write()

    def add(self, record: Record) -> None:
        """Append a line."""
        self.records.append(record)
        self._write()

    def log(self, record: Record) -> None:
        """Nothing: the file holds what the training has reached at its validations."""

    def show(self, record: Record) -> None:
        """Nothing: the file holds what the training has reached at its validations."""

    def close(self) -> None:
        """Nothing: the file is whole after each record."""

    def _write(self) -> None:
        """Write the file whole: object stores can't append."""
        files.write_text(self.path, "".join(json.dumps(record) + "\n" for record in self.records))


def read_records(folder: str) -> list[Record]:
    """The records of MODEL/epochs.jsonl; none if there is no such file."""
    path = files.join(folder, "epochs.jsonl")
    if not files.exists(path):
        return []
    return [json.loads(line) for line in files.read_text(path).splitlines()]
