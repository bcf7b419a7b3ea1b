"""The name of a model: what it is, which settings differ from their defaults, and a hash of all that its weights depend on.

    gsasrec-k256-t0.75-d128-l200-do0.5-lr0.001-9f2c41d8

Two trainings whose fingerprints differ in anything, the dataset's version or the number of processes too, have different names.
"""

import hashlib
import json
from typing import Any

from seqrec.training.fingerprint import Flat, Shaping

LABELS = {  # of settings in names, in their order there; a choice among names has none
    "encoder.dim": "d",
    "encoder.blocks": "b",
    "encoder.heads": "h",
    "encoder.ffn": "ffn",
    "encoder.attention": "",
    "encoder.position": "pos",
    "encoder.norm": "",
    "encoder.norm_place": "",
    "encoder.mlp": "",
    "encoder.activation": "",
    "encoder.experts": "experts",
    "encoder.experts_active": "top",
    "encoder.attention_output": "mix",
    "encoder.attention_conv": "conv",
    "encoder.output_layer": "outlayer",
    "encoder.output": "",
    "encoder.output_bias": "bias",
    "encoder.head": "",
    "encoder.embedding_scale": "scale",
    "encoder.embedding_norm": "enorm",
    "encoder.init_range": "init",
    "encoder.dropout": "do",
    "encoder.dropout_embedding": "doe",
    "encoder.dropout_attention": "doa",
    "encoder.dropout_mlp": "dom",
    "encoder.dropout_weights": "dow",
    "encoder.max_len": "l",
    "encoder.user_weight": "g",
    "members": "x",
    "windows.overlap": "overlap",
    "windows.shift": "shift",
    "objective": "",
    "masking.masked_lm_prob": "mlp",
    "masking.mask_prob": "mp",
    "masking.max_predictions_per_seq": "mpps",
    "masking.dupe_factor": "df",
    "masking.mask_last": "last",
    "masking.short_seq_prob": "short",
    "loss.name": "",
    "loss.negatives": "k",
    "loss.t": "t",
    "loss.margin": "m",
    "loss.weight": "w",
    "loss.sampling": "",
    "loss.power": "p",
    "loss.balance": "balance",
    "loss.log_q": "logq",
    "loss.exclude_seen": "unseen",
    "loss.prior": "prior",
    "optimizer.name": "",
    "optimizer.lr": "lr",
    "optimizer.weight_decay": "wd",
    "optimizer.beta1": "beta",
    "optimizer.beta2": "beta2_",
    "optimizer.momentum": "mom",
    "optimizer.nesterov": "nesterov",
    "optimizer.clip_norm": "clip",
    "optimizer.warmup_steps": "warm",
    "optimizer.schedule": "",
    "optimizer.ema_decay": "ema",
    "batch_size": "bs",
    "accumulate_steps": "acc",
    "pool_batches": "pool",
    "validate": "valid",
    "validate_every": "every",
    "valid_users": "users",
    "metric": "",
    "seed": "s",
}
LONGEST = 120  # characters before the hash


def model_name(first: str, *, named: tuple[str, ...], shaping: Shaping, fingerprint: Flat) -> str:
    """`first`, the settings that aren't the default and that `named` doesn't list, and eight digits of the fingerprint's hash.

    >>> shaping = Shaping(values={"encoder.dim": 64, "loss.log_q": False, "metric": "ndcg@20"}, defaults={"encoder.dim": 64})
    >>> model_name("sasrec-d64", named=("encoder.dim",), shaping=shaping, fingerprint={"data": "v1"})
    'sasrec-d64-logqoff-ndcg20-2437ea2c'
    """
    places = {key: place for place, key in enumerate(LABELS)}
    parts = [
        f"{LABELS.get(key, key.rpartition('.')[2])}{_shown(value)}"
        for key, value in sorted(shaping.values.items(), key=lambda setting: places.get(setting[0], len(places)))
        if key not in named and shaping.defaults.get(key) != value
    ]
    text = json.dumps(fingerprint, sort_keys=True, default=str)
    return f"{'-'.join([first, *parts])[:LONGEST]}-{hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}"


def _shown(value: Any) -> str:
    """A setting's value in a name, of letters, digits, points and signs of numbers.

    >>> [_shown(value) for value in (True, False, None, 0.001, 1e-05, "recall@10", "sampled_ce")]
    ['', 'off', 'none', '0.001', '1e-05', 'recall10', 'sampled_ce']
    """
    if isinstance(value, bool):
        return "" if value else "off"
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value).replace("@", "")
