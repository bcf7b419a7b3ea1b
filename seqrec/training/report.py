"""What a training says: epochs.jsonl, a table on the screen, TensorBoard scalars."""

import json
from typing import Any

from seqrec.storage import files
from seqrec.training.processes import Process

COLUMNS = {"epoch": "5d", "step": "8d", "train_loss": "10.4f", "loss": "8.4f", "recall@1": "8.4f", "recall@10": "9.4f"} | {
    "ndcg@10": "8.4f",
    "recall@20": "9.4f",
    "ndcg@20": "8.4f",
    "misses": "7.0f",
    "lr": "9.2e",
    "seconds": "8.1f",
}


class Report:
    """Appends a record a validation to MODEL/epochs.jsonl and shows it; rank 0 alone writes.

    Records later than the step that a run goes on from are dropped: that run makes them again.
    """

    def __init__(self, folder: str, *, process: Process, step: int, tensorboard: bool) -> None:
        self.path = files.join(folder, "epochs.jsonl")
        self.active = process.rank == 0
        self.header = False
        self.writer: Any = None
        if not self.active:
            return
        self.records = [record for record in read_records(folder) if record["step"] <= step]
        self._write()
        if tensorboard and files.is_local(folder):
            from torch.utils.tensorboard import SummaryWriter

            place = files.local_path(files.join(folder, "tensorboard"))
            self.writer = SummaryWriter(str(place), purge_step=step + 1)

    def add(self, record: dict[str, Any]) -> None:
        """Append a record, print its row, and write its scalars."""
        if not self.active:
            return
        self.records.append(record)
        self._write()
        self.show(record)
        if self.writer is not None:
            for name, value in record.items():
                if isinstance(value, float):
                    self.writer.add_scalar(name, value, record["step"])
            self.writer.flush()

    def show(self, record: dict[str, Any]) -> None:
        """Print a row of the table of epochs, below its header the first time."""
        if not self.active:
            return
        widths = {name: int(form.split(".")[0].rstrip("d")) for name, form in COLUMNS.items()}
        if not self.header:
            print("  ".join(f"{name:>{width}}" for name, width in widths.items()), flush=True)
            self.header = True
        cells = (f"{record[n]:>{form}}" if n in record else f"{'-':>{widths[n]}}" for n, form in COLUMNS.items())
        print("  ".join(cells) + ("  *" if record.get("best") else ""), flush=True)

    def close(self) -> None:
        """Flush what TensorBoard holds."""
        if self.writer is not None:
            self.writer.close()

    def _write(self) -> None:
        files.write_text(self.path, "".join(json.dumps(record) + "\n" for record in self.records))


def read_records(folder: str) -> list[dict[str, Any]]:
    """The records of MODEL/epochs.jsonl; none if there is no such file."""
    path = files.join(folder, "epochs.jsonl")
    if not files.exists(path):
        return []
    return [json.loads(line) for line in files.read_text(path).splitlines()]
