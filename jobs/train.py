"""Windows into checkpoints.

Several processes: `torchrun --nproc-per-node N jobs/train.py --conf FILE …`, or `distributor=spark processes=N`.
"""

from functools import partial

from seqrec.command.entry import run_job
from seqrec.command.session import open_session
from seqrec.command.story import Next, end, origin
from seqrec.settings.train import Train
from seqrec.storage import files, versions
from seqrec.storage.made_from import record
from seqrec.training.plan_transformer import sequence_setup
from seqrec.training.processes import leads
from seqrec.training.stages import train_stages
from seqrec.training.train import run_training


def run(cfg: Train) -> None:
    """Train in this process, or in those that Spark starts."""
    files.require_writable(cfg.model, key="model")
    made = origin(cfg)
    if cfg.distributor == "spark":
        from seqrec.training.distributed import train_on_spark

        session = open_session("train")
        on_spark = partial(train_on_spark, session, processes=cfg.processes)
        trained = train_stages(cfg, plan=sequence_setup, run=on_spark)
    else:
        trained = train_stages(cfg, plan=sequence_setup, run=run_training)
    if leads():
        if trained.finished:
            record(cfg.model, made)
        name = versions.read_meta(cfg.model)["name"]
        end(made=f"the model {name}", path=cfg.model, then=Next("export_onnx", ("data", "model")))


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(Train, run, argv)


if __name__ == "__main__":
    main()
