"""A fitted encoder on disk: words in Parquet, numbers in JSON, matrices in safetensors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
from safetensors.numpy import load_file, save_file

from motet.data import Encoder, Scale, Vocabulary, Whitening, WordIndex
from motet.schema import Schema

__all__ = ["read_encoder", "write_encoder"]


def write_encoder(directory: Path, encoder: Encoder) -> None:
    """Write an encoder's files."""
    words = [
        pl.DataFrame({"feature": pl.Series([name] * len(v.words), dtype=pl.String), "word": v.words.words})
        for name, v in encoder.vocabularies.items()
    ]
    empty = pl.DataFrame({"feature": pl.Series([], dtype=pl.String), "word": pl.Series([], dtype=pl.String)})
    pl.concat([empty, *words]).write_parquet(directory / "vocabularies.parquet")
    content = {
        "offsets": {name: v.offset for name, v in encoder.vocabularies.items()},
        "scales": {name: scale.to_json() for name, scale in encoder.scales.items()},
        "missing": encoder.missing,
        "vector_widths": encoder.vector_widths,
        "classes": {name: list(words) for name, words in encoder.classes.items()},
        "label_mean": encoder.label_mean,
        "label_std": encoder.label_std,
        "table_rows": encoder.table_rows,
    }
    (directory / "encoder.json").write_text(
        json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8"
    )
    matrices = {f"{name}.mean": w.mean for name, w in encoder.whitenings.items()}
    matrices |= {f"{name}.matrix": np.ascontiguousarray(w.matrix) for name, w in encoder.whitenings.items()}
    save_file(matrices, str(directory / "whitening.safetensors"))


def read_encoder(directory: Path, schema: Schema) -> Encoder:
    """Read what :func:`write_encoder` wrote."""
    content = json.loads((directory / "encoder.json").read_text(encoding="utf-8"))
    words = pl.read_parquet(directory / "vocabularies.parquet").partition_by("feature", as_dict=True)
    none = pl.DataFrame({"word": pl.Series([], dtype=pl.String)})
    matrices = load_file(str(directory / "whitening.safetensors"))
    names = {name.rpartition(".")[0] for name in matrices}
    return Encoder(
        schema=schema,
        vocabularies={
            name: Vocabulary(WordIndex(words.get((name,), none)["word"]), offset)
            for name, offset in content["offsets"].items()
        },
        scales={name: Scale.from_json(scale) for name, scale in content["scales"].items()},
        missing=list(content["missing"]),
        whitenings={name: Whitening(matrices[f"{name}.mean"], matrices[f"{name}.matrix"]) for name in names},
        vector_widths=dict(content["vector_widths"]),
        classes={name: tuple(found) for name, found in content["classes"].items()},
        label_mean=dict(content["label_mean"]),
        label_std=dict(content["label_std"]),
        table_rows=int(content["table_rows"]),
    )
