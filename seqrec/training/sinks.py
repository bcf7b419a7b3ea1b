"""Where the records of a training go: epochs.jsonl, a table on the screen and in log.txt, TensorBoard, pictures, MLflow.

A record is a validation's result: epoch, step, seconds, train_loss, lr, tokens_per_second, the metrics, and whether the model is
the best so far. A sink is an object with the four methods of `Sink`; the trainer gives every record to every sink, in rank 0.
"""

import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from seqrec.command.kept_log import write_logs
from seqrec.error_messages import explain
from seqrec.storage import files
from seqrec.training.curves import can_draw, draw_curves
from seqrec.training.epochs_file import EpochsFile, Record, read_records
from seqrec.training.tracked_records import tracked_records

COPY_S = 60.0  # between two copies of TensorBoard's file to a remote folder, and between two drawings of the pictures

log = logging.getLogger("seqrec")


class Sink(Protocol):
    """A destination of records."""

    def add(self, record: Record) -> None:
        """Take a record of the training."""

    def log(self, record: Record) -> None:
        """Take the losses and the learning rate of the steps since the last time."""

    def show(self, record: Record) -> None:
        """Show the metrics of a model that was validated between two records; they aren't kept."""

    def close(self) -> None:
        """Finish, at the end of the run."""


class Column(NamedTuple):
    """A column of the table on the screen: its name, its width, and the format of its values."""

    name: str
    width: int
    format: str


COLUMNS = (
    Column("epoch", 5, "d"),
    Column("step", 7, ",d"),
    Column("train_loss", 10, ".4f"),
    Column("loss", 7, ".4f"),
    Column("recall@1", 8, ".4f"),
    Column("recall@10", 9, ".4f"),
    Column("ndcg@10", 7, ".4f"),
    Column("recall@20", 9, ".4f"),
    Column("ndcg@20", 7, ".4f"),
    Column("seconds", 7, ",.0f"),
)


class ScreenTable:
    """A row a record in the log, below a header; a star marks the best so far.

    The screen shows it, and MODEL/log.txt is written after each record, so that a training that is killed leaves its log.
    """

    def __init__(self, columns: Sequence[Column] = COLUMNS) -> None:
        self.columns = columns
        self.header = False

    def add(self, record: Record) -> None:
        """Log a row, below the header the first time."""
        if not self.header:
            log.info("%s", "  ".join(f"{name:>{width}}" for name, width, _ in self.columns))
            self.header = True
        cells = (f"{format(record[name], kind) if name in record else '-':>{width}}" for name, width, kind in self.columns)
        log.info("%s", "  ".join(cells) + (" *" if record.get("best") else ""))
        write_logs(failed=False)

    def log(self, record: Record) -> None:
        """Nothing: the bar shows the loss of a step."""

    def show(self, record: Record) -> None:
        """Log a row."""
        self.add(record)

    def close(self) -> None:
        """Nothing is left to show."""


class TensorBoard:
    """A scalar for each real number of a record, in MODEL/tensorboard; those of steps have names such as step/train_loss.

    TensorBoard's writer needs a folder on this machine. For a remote model it is a temporary one, whose file is copied with each
    record and, between records, once a minute.
    """

    def __init__(self, folder: str, *, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.remote = None if files.is_local(folder) else files.join(folder, "tensorboard")
        self.temporary = None if self.remote is None else tempfile.TemporaryDirectory(prefix="seqrec-tensorboard-")
        path = Path(self.temporary.name) if self.temporary else files.local_path(files.join(folder, "tensorboard"))
        self.writer: Any = SummaryWriter(str(path), purge_step=step + 1)
        self.copied = time.monotonic()

    def add(self, record: Record) -> None:
        """Write the record's scalars."""
        self._write("", record)
        self._flush()

    def log(self, record: Record) -> None:
        """Write the scalars of steps."""
        self._write("step/", record)
        if time.monotonic() - self.copied > COPY_S:
            self._flush()

    def show(self, record: Record) -> None:
        """Nothing: only records are written."""

    def close(self) -> None:
        """Flush what is held."""
        self._flush()
        self.writer.close()
        if self.temporary is not None:
            self.temporary.cleanup()

    def _write(self, prefix: str, record: Record) -> None:
        """Write the real numbers of a record under its step."""
        for name, value in record.items():
            if isinstance(value, float):
                self.writer.add_scalar(f"{prefix}{name}", value, record["step"])

    def _flush(self) -> None:
        """Put all that was written into the file and, for a remote model, the file into its folder."""
        self.writer.flush()
        self.copied = time.monotonic()
        if self.temporary is not None and self.remote is not None:
            for file in Path(self.temporary.name).iterdir():
                files.put(file, files.join(self.remote, file.name))


class Pictures:
    """MODEL/train_loss.png, val_ndcg10.png and val_recall10.png (see `curves`), drawn at most once a minute and at the end.

    A picture that can't be drawn or written is no reason to lose a training: a warning says why, once, and no more are drawn.
    """

    def __init__(self, folder: str, *, step: int) -> None:
        self.folder = folder
        self.records = [record for record in read_records(folder) if record["step"] <= step]
        self.drawn, self.drawn_at = 0, time.monotonic()
        self.failed = False

    def add(self, record: Record) -> None:
        """Take a record, and draw all of them if the pictures are old."""
        self.records.append(record)
        if time.monotonic() - self.drawn_at > COPY_S:
            self._draw()

    def log(self, record: Record) -> None:
        """Nothing: the pictures show validations."""

    def show(self, record: Record) -> None:
        """Nothing: only records are drawn."""

    def close(self) -> None:
        """Draw what was not drawn yet."""
        if len(self.records) > self.drawn:
            self._draw()

    def _draw(self) -> None:
        """Replace the pictures."""
        if self.failed:
            return
        try:
            for name, picture in draw_curves(self.records).items():
                files.write_bytes(files.join(self.folder, name), picture)
        except Exception as error:  # a broken matplotlib may raise anything
            self.failed = True
            log.warning("the curves in %s are not drawn any more, and the training goes on: %s", self.folder, explain(error))
        self.drawn, self.drawn_at = len(self.records), time.monotonic()


def open_sinks(folder: str, *, step: int, tensorboard: bool, plots: bool, columns: Sequence[Column] = COLUMNS) -> list[Sink]:
    """The sinks of a model's folder, for a run that continues from `step`."""
    sinks: list[Sink] = [EpochsFile(folder, step=step), ScreenTable(columns)]
    if tensorboard:
        sinks.append(TensorBoard(folder, step=step))
    if plots and can_draw():
        sinks.append(Pictures(folder, step=step))
    elif plots:
        log.info("the curves are not drawn: matplotlib isn't installed (pip install matplotlib, or plots=false)")
    return [*sinks, *tracked_records(folder)]
