"""Windows into checkpoints.

Several processes: `torchrun --nproc-per-node N jobs/train.py --conf FILE …`, or `distributor=spark processes=N`.
"""

from seqrec.command.entry import run_job
from seqrec.command.session import open_session
from seqrec.command.story import Next, end
from seqrec.settings.train import Train
from seqrec.storage import files, versions
from seqrec.training.plan_transformer import sequence_setup
from seqrec.training.processes import leads
from seqrec.training.stages import train_stages
from seqrec.training.train import run_training


def run(cfg: Train) -> None:
    """Train in this process, or in those that Spark starts."""
    files.require_writable(cfg.model, key="model")
    if cfg.distributor == "spark":
        from seqrec.training.distributed import train_on_spark

        session = open_session("train")
        train_stages(cfg, plan=sequence_setup, run=lambda setup: train_on_spark(session, setup, processes=cfg.processes))
    else:
        train_stages(cfg, plan=sequence_setup, run=run_training)
    if leads():
        name = versions.read_meta(cfg.model)["name"]
        end(made=f"the model {name}", path=cfg.model, then=Next("export_onnx", ("data", "model")))


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(Train, run, argv)


if __name__ == "__main__":
    main()
