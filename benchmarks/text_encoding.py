"""Texts a second: sentence-transformers' default call and motet, on the same clothing reviews in one run.

    python benchmarks/text_encoding.py [--limit N] [--rounds N] [--torch] [--json FILE]

The peer is ``SentenceTransformer(folder).encode(texts)`` as a user would write it; its model cuts at
256 tokens, so motet is given the same limit, and every text goes through both. With ``--rounds``
above 1 the two take turns on slices of the texts, so that a busy machine slows both alike. The
cache starts empty; the second run finds all of it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from motet.datasets import fetch_asset
from motet.text.encode import CTranslate2Encoder, TorchEncoder, VectorCache, encode_cached

Vectors = NDArray[np.float32]


def reviews(limit: int) -> list[str]:
    """Texts of the clothing reviews, all or a seeded sample; a missing text is an empty one."""
    table = pl.read_parquet(fetch_asset("clothing-reviews") / "reviews.parquet", columns=["Review Text"])
    texts = table["Review Text"].fill_null("").to_list()
    order = np.random.default_rng(0).permutation(len(texts))[: limit or None]
    return [texts[row] for row in order]


class Timed:
    """Collects what one contender made of slices of the texts."""

    def __init__(self, encode: Callable[[list[str]], Vectors]) -> None:
        self._encode = encode
        self.wall_s = 0.0
        self.cpu_s = 0.0
        self.parts: list[Vectors] = []

    def take(self, texts: list[str]) -> None:
        """Encode a slice."""
        wall, cpu = time.perf_counter(), time.process_time()
        self.parts.append(self._encode(texts))
        self.wall_s += time.perf_counter() - wall
        self.cpu_s += time.process_time() - cpu

    @property
    def vectors(self) -> Vectors:
        """All slices."""
        return np.concatenate(self.parts)


def measure(limit: int, rounds: int, with_torch: bool) -> dict[str, float | int | str]:
    """Run everything once and return the figures."""
    texts = reviews(limit)
    folder = fetch_asset("all-MiniLM-L6-v2")
    peer = SentenceTransformer(str(folder), device="cpu")
    tokens = int(peer.max_seq_length)
    ours = CTranslate2Encoder("all-MiniLM-L6-v2", max_tokens=tokens)
    plain = TorchEncoder("all-MiniLM-L6-v2", max_tokens=tokens)

    def peer_encode(part: list[str]) -> Vectors:
        return np.asarray(peer.encode(part), np.float32)

    with tempfile.TemporaryDirectory() as place:
        cache = VectorCache(Path(place))
        contenders = {
            "peer": Timed(peer_encode),
            "ours": Timed(lambda part: encode_cached(ours, part, cache)),
        }
        if with_torch:
            contenders["torch"] = Timed(plain.encode)
        for timed in contenders.values():  # load the weights, prepare the 8-bit model
            timed.take(["a first text"])
            timed.wall_s, timed.cpu_s = 0.0, 0.0
            timed.parts.clear()
        for part in np.array_split(np.arange(len(texts)), rounds):
            for timed in contenders.values():
                timed.take([texts[row] for row in part])
        again = Timed(lambda part: encode_cached(ours, part, VectorCache(Path(place))))
        again.take(texts)
    filled = np.array([bool(text.strip()) for text in texts])
    one, two = contenders["peer"].vectors[filled], contenders["ours"].vectors[filled]
    cosine = (one * two).sum(1) / (np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1))
    figures: dict[str, float | int | str] = {
        "texts": len(texts),
        "max_tokens": tokens,
        "threads": torch.get_num_threads(),
        "peer_texts_per_s": len(texts) / contenders["peer"].wall_s,
        "motet_texts_per_s": len(texts) / contenders["ours"].wall_s,
        "ratio": contenders["peer"].wall_s / contenders["ours"].wall_s,
        "ratio_of_cpu_time": contenders["peer"].cpu_s / contenders["ours"].cpu_s,
        "cosine_mean": float(cosine.mean()),
        "cosine_p1": float(np.percentile(cosine, 1)),
        "cosine_min": float(cosine.min()),
        "cached_run_s": again.wall_s,
        "cached_ratio": contenders["ours"].wall_s / again.wall_s,
        "cached_equal": str(bool(np.array_equal(again.vectors, contenders["ours"].vectors))),
    }
    if with_torch:
        figures["motet_torch_texts_per_s"] = len(texts) / contenders["torch"].wall_s
        figures["motet_torch_ratio"] = contenders["peer"].wall_s / contenders["torch"].wall_s
    return figures


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--limit", type=int, default=0, help="texts to take; 0 for all 23,486")
    parser.add_argument("--rounds", type=int, default=1, help="slices on which the contenders take turns")
    parser.add_argument("--torch", action="store_true", help="also time motet's float32 path")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    arguments = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    figures = measure(arguments.limit, arguments.rounds, arguments.torch)
    for name, value in figures.items():
        print(f"{name:26s}{value:>14,.4f}" if isinstance(value, float) else f"{name:26s}{value:>14}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
