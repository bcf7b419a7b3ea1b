"""Where bf16 gains, and what a training needs of memory."""

import psutil
import torch

from seqrec.errors import UserError
from seqrec.models.losses import CHUNK_FLOATS


def use_bf16(precision: str, device: torch.device) -> bool:
    """Whether to autocast: as asked, or, for auto, where the hardware multiplies bf16 faster than fp32.

    Raises UserError if bf16 is asked of a GPU that lacks it.
    """
    if device.type == "cuda":
        able = torch.cuda.is_bf16_supported(including_emulation=False)
        if precision == "bf16" and not able:
            raise UserError(f"precision=bf16: {torch.cuda.get_device_name(device)} has no bf16; use precision=fp32")
        return able and precision != "fp32"
    return precision == "bf16" or (precision == "auto" and torch.cpu._is_amx_tile_supported())


def available_gb(device: torch.device) -> float:
    """Free memory of the device, in GiB."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    return free / 2**30


def estimate_gb(
    *, parameters: int, matrix: int, states: int, positions: int, max_len: int, dim: int, blocks: int, heads: int, ffn: int
) -> float:
    """Upper estimate of a step's memory in GiB: weights, gradients, optimiser states, and the activations of a full batch.

    A block keeps about 8 + 3·ffn activations of width dim a position, and a row of attention weights a head; the loss adds
    two copies of the item matrix's gradient and three chunks of scores.
    """
    weights = parameters * (2 + states) + 2 * matrix
    activations = positions * blocks * (dim * (8 + 3 * ffn) + heads * max_len)
    return 4 * (weights + activations + 3 * CHUNK_FLOATS) / 2**30


def require_memory(needed_gb: float, limit_gb: float, *, advice: str) -> None:
    """Raise UserError, with the estimate, if a training can't fit."""
    if needed_gb > limit_gb:
        raise UserError(
            f"this training needs about {needed_gb:.1f} GiB, {limit_gb:.1f} GiB are free: lower {advice}; "
            "or set memory_gb if you know better"
        )
