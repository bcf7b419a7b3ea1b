"""Training processes started by Spark's TorchDistributor; torchrun's need no launcher."""

import os

from pyspark.ml.torch.distributor import TorchDistributor
from pyspark.sql import SparkSession

from seqrec.errors import UserError
from seqrec.settings.training import Training
from seqrec.training.train import train


def train_on_spark(spark: SparkSession, settings: Training) -> dict[str, float]:
    """Train in `processes` processes: on the driver for a local master, else one a task slot of the cluster.

    GPUs are used where Spark has them (spark.task.resource.gpu.amount, or the driver's own with a local master). Raises
    UserError if the cluster has fewer slots than processes, because they have to start together.
    """
    import torch

    context = spark.sparkContext
    master = str(context.master)
    local = master == "local" or master.startswith("local[")
    gpus = torch.cuda.is_available() if local else context.getConf().contains("spark.task.resource.gpu.amount")
    if not local and context.defaultParallelism < settings.processes:
        raise UserError(
            f"processes={settings.processes}: the cluster {master} has {context.defaultParallelism} slots; "
            "give it more executor cores or lower processes"
        )
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // settings.processes) if local else 1))
    distributor = TorchDistributor(num_processes=settings.processes, local_mode=local, use_gpu=gpus)
    outcome = distributor.run(_train_or_say, settings)
    if isinstance(outcome, str):
        raise UserError(outcome)
    return outcome or {}


def _train_or_say(settings: Training) -> dict[str, float] | str:
    """The metrics, or the message of a UserError: raised in a process, it would reach the driver as a stack trace."""
    try:
        return train(settings)
    except UserError as error:
        return str(error)
