"""Bundles that differ in their weights alone, made of one."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from motet.training import write_manifest

__all__ = ["variant"]


def variant(bundle: Path, place: Path, seed: int) -> Path:
    """A copy of a bundle whose weights are a little off, so that it is another version.

    Args:
        bundle: Which is copied.
        place: Where to; it is not there yet.
        seed: Of the noise, a thousandth of each weight's size.
    """
    shutil.copytree(bundle, place)
    rng = np.random.default_rng(seed)
    weights = load_file(place / "weights.safetensors")
    for name, one in weights.items():
        if one.dtype == np.float32:
            noise = rng.standard_normal(one.shape, np.float32)
            weights[name] = one * (1 + np.float32(1e-3) * noise)
    save_file(weights, place / "weights.safetensors")
    write_manifest(place)
    return place
