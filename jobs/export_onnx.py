"""A checkpoint into a version of encoder.onnx, item_matrix.npy, item_embeddings and meta.json, checked against torch."""

from seqrec.command.entry import run_job
from seqrec.command.session import open_session
from seqrec.command.story import Next, end, origin
from seqrec.export.export_onnx import Conversion, export, require_place
from seqrec.settings.export_onnx import ExportOnnx
from seqrec.storage import files
from seqrec.storage.made_from import record
from seqrec.tracking.tracked import begin_run


def run(cfg: ExportOnnx) -> None:
    """Export; a Spark session is opened only where it is the way to a remote file system."""
    if not all(files.is_local(folder) for folder in (cfg.data, cfg.model, cfg.output or cfg.model)):
        open_session("export_onnx")
    if cfg.output is None:
        files.require_writable(cfg.model, key="model")
    else:
        require_place(cfg.output)
        files.require_writable(cfg.output, key="output")
    begin_run()
    conversion = Conversion(opset=cfg.opset, parity_users=cfg.parity_users, parity_tolerance=cfg.parity_tolerance)
    made = origin(cfg)
    exported = export(cfg.model, data=cfg.data, checkpoint=cfg.checkpoint, into=cfg.output, keep=cfg.keep, conversion=conversion)
    record(exported.path, made)
    end(
        made=f"an export of {exported.meta.name}",
        path=exported.path,
        then=None if cfg.output else Next("evaluate", ("data", "model")),
    )


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(ExportOnnx, run, argv)


if __name__ == "__main__":
    main()
