"""How torch computes: in bf16 where the hardware is faster with it, or where the user wants it; with the same bits in each run.

Weights stay in fp32.
"""

import logging
import os

import torch

from seqrec.errors import UserError

log = logging.getLogger("seqrec")


def use_bf16(precision: str, device: torch.device) -> bool:
    """Whether to autocast: as `precision` says, or, for auto, where the hardware multiplies bf16 faster than fp32.

    Raises UserError for bf16 on a GPU that lacks it.
    """
    if device.type == "cuda":
        able = torch.cuda.is_bf16_supported(including_emulation=False)
        if precision == "bf16" and not able:
            raise UserError(f"precision=bf16: {torch.cuda.get_device_name(device)} has no bf16; use precision=fp32")
        return able and precision != "fp32"
    return precision == "bf16" or (precision == "auto" and torch.cpu._is_amx_tile_supported())


def repeat_bits(deterministic: bool, device: torch.device) -> None:
    """Have a GPU compute the same bits in each run, or as fast as it can.

    A CPU computes the same bits anyway, for the same number of threads. An operation of a GPU for which torch has no such
    algorithm is then a RuntimeError, which names it.
    """
    if device.type == "cuda":
        if deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs for it
        torch.use_deterministic_algorithms(deterministic)
        torch.backends.cudnn.benchmark = False
    elif deterministic:
        log.info("deterministic=true changes nothing on a CPU: it computes the same bits in each run anyway")
