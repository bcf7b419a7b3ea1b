"""Whether products are in bf16: where the hardware is faster with it, or where the user wants it. Weights stay in fp32."""

import torch

from seqrec.errors import UserError


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
