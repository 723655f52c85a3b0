"""Which weights are tuned: low-rank updates of the linear layers, or all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from motet.errors import MissingExtraError
from motet.tuning._settings import TuneSettings

__all__ = ["TunedWeights"]

_NOT_TUNED = ("pooler", "lm_head")  # unused by mean pooling; tied to the embeddings


class TunedWeights:
    """The trainable weights of a language model; every other weight stays as it is.

    With ``lora`` each linear layer W gets W + (alpha / r)·B·A with A drawn and B zero (Hu et al.
    2022, eq. 3), so that the model starts as what it was. With ``full`` all weights are trained.

    Args:
        model: A Transformers model; it is changed in place.
        settings: Method, rank, alpha and seed.

    Attributes:
        parameters: What is trained, by name.
        total: Number of weights of the model without updates.

    Raises:
        MissingExtraError: If peft is not installed.
    """

    def __init__(self, model: nn.Module, settings: TuneSettings) -> None:
        self._model = model
        self._lora: Any = None
        self.total = sum(p.numel() for p in model.parameters())
        if settings.method == "lora":
            self._lora = _inject(model, settings)
            tuned: Iterable[tuple[str, nn.Parameter]] = model.named_parameters()
        else:
            tuned = [
                (name, p)
                for name, p in model.named_parameters()
                if not any(part in name for part in _NOT_TUNED)
            ]
            for p in model.parameters():
                p.requires_grad_(False)
            for _, p in tuned:
                p.requires_grad_(True)
        self.parameters = {name: p for name, p in tuned if p.requires_grad}

    def merge(self) -> None:
        """Add the updates into the weights they belong to and leave no trace of them. Call it once, at the end."""
        if self._lora is not None:
            self._lora.merge_and_unload()
            self._lora = None


def _inject(model: nn.Module, settings: TuneSettings) -> Any:
    try:
        from peft import LoraConfig, LoraModel  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("peft", "tune") from None
    targets = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not any(part in name for part in _NOT_TUNED)
    ]
    config = LoraConfig(r=settings.rank, lora_alpha=settings.alpha, target_modules=targets, lora_dropout=0.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return LoraModel(model, config, "default")
