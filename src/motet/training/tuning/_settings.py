"""Settings of the three ways to tune, apart from those of a schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import yaml
from pydantic import Field, ValidationError

from motet.errors import SchemaError
from motet.schema import Part, nearest

__all__ = [
    "AlignSettings",
    "InstructSettings",
    "JointSettings",
    "LoopSettings",
    "TuneSettings",
    "read_settings",
]


class TuneSettings(Part):
    """What every way to tune shares.

    Attributes:
        method: ``lora`` adds a low-rank update to the linear layers and trains nothing else (Hu et al.
            2022, eq. 3); ``full`` trains every weight.
        rank: Rank r of the updates.
        alpha: The update is scaled by alpha / rank.
        learning_rate: Highest learning rate; 0 takes what suits the method.
        weight_decay: Decoupled decay (AdamW).
        clip_norm: Largest global norm of the gradients.
        max_tokens: Longer texts are cut.
        device: Where the language model computes: ``cpu``, ``cuda``, ``cuda:1`` …
        precision: ``float32``, or ``bf16`` for products on devices that are made for it.
        seed: Of order, draws, dropout and first values.
    """

    method: Literal["lora", "full"] = "lora"
    rank: int = Field(8, ge=1, le=1024)
    alpha: float = Field(16.0, gt=0)
    learning_rate: float = Field(0.0, ge=0)
    weight_decay: float = Field(0.01, ge=0)
    clip_norm: float = Field(1.0, gt=0)
    max_tokens: int = Field(64, ge=8, le=8192)
    device: str = "cpu"
    precision: Literal["float32", "bf16"] = "float32"
    seed: int = Field(0, ge=0)

    @property
    def rate(self) -> float:
        """The highest learning rate."""
        return self.learning_rate or (5e-4 if self.method == "lora" else 3e-5)


class LoopSettings(TuneSettings):
    """A loop of its own, beside the recommender's.

    Attributes:
        warmup: Share of the steps during which the rate rises; it falls on a cosine after.
        steps: Most steps.
        check_every: Steps between validations on what was kept apart.
        patience: Validations without a better score before tuning stops.
        time_limit_s: Seconds after which tuning stops with the best so far; 0 for none.
        checkpoint_s: Seconds between checkpoints.
    """

    warmup: float = Field(0.1, ge=0, lt=1)
    steps: int = Field(400, ge=1)
    check_every: int = Field(50, ge=1)
    patience: int = Field(4, ge=1)
    time_limit_s: float = Field(0.0, ge=0)
    checkpoint_s: float = Field(60.0, gt=0)


class AlignSettings(LoopSettings):
    """Contrastive alignment of item texts with what people like together.

    Attributes:
        feature: Text feature of the items; the first when left out.
        task: Task whose positive label says "liked"; the schema's
            :attr:`~motet.schema.Schema.liking_task` when left out.
        batch_size: Pairs a step.
        temperature: τ of the contrastive loss.
        neighbours: Co-liked items kept for each item.
        shrinkage: λ that holds back pairs seen few times.
        most_liked: Likes of one person that count, the latest first.
        unseen: Share of the liked items kept apart; their texts decide which step is kept.
    """

    feature: str | None = None
    task: str | None = None
    batch_size: int = Field(64, ge=2)
    temperature: float = Field(0.05, gt=0)
    neighbours: int = Field(20, ge=1)
    shrinkage: float = Field(10.0, ge=0)
    most_liked: int = Field(500, ge=2)
    unseen: float = Field(0.15, gt=0, lt=0.9)


class JointSettings(TuneSettings):
    """The encoder trained inside the multi-task model; the loop is that of the schema's ``training``.

    Attributes:
        feature: Text feature of the items; the first when left out.
        items_per_step: Texts of a batch that pass through the encoder with a gradient, drawn again
            each step; the others keep the vector of their last pass.
        compare: Train the same model with the encoder as it was, to say whether tuning helped.
    """

    feature: str | None = None
    items_per_step: int = Field(128, ge=1)
    compare: bool = True


class InstructSettings(LoopSettings):
    """Multi-task instruction tuning of a generating model.

    Attributes:
        generator: ``SmolLM2-135M-Instruct`` (packaged), a folder, or a hub id.
        feature: Text feature that says what an item is; the first of the items when left out.
        tasks: Tasks that are asked about; all that can be when left out.
        batch_size: Questions a step.
        micro_batch: Questions computed at a time; the gradients of a step are summed over them.
        history: Items that a person liked, and as many disliked, in a question.
        candidates: Items offered when the next one is asked for, the right one among them.
        check_questions: Validation questions of each task at each validation.
    """

    generator: str = "SmolLM2-135M-Instruct"
    feature: str | None = None
    tasks: tuple[str, ...] = ()
    batch_size: int = Field(8, ge=1)
    micro_batch: int = Field(4, ge=1)
    steps: int = Field(80, ge=1)
    check_every: int = Field(20, ge=1)
    max_tokens: int = Field(384, ge=32, le=32768)
    history: int = Field(6, ge=1, le=100)
    candidates: int = Field(5, ge=2, le=50)
    check_questions: int = Field(24, ge=2)


_KINDS: Final[Mapping[str, type[TuneSettings]]] = {
    "align": AlignSettings,
    "joint": JointSettings,
    "instruct": InstructSettings,
}


def read_settings(kind: str, overrides: Sequence[str] = (), **values: Any) -> TuneSettings:
    """Settings of a way to tune from ``name=value`` overrides.

    Args:
        kind: ``align``, ``joint`` or ``instruct``.
        overrides: Such as ``steps=100``; the value is read as YAML.
        values: More of them; None leaves the default.

    Raises:
        SchemaError: If a name is not known or a value does not fit.

    Example:
        >>> read_settings("align", ["rank=4"], seed=7).rank
        4
    """
    model = _KINDS[kind]
    given = {name: value for name, value in values.items() if value is not None}
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals:
            raise SchemaError(f"the override {override!r} has no form a=b", "write --set tune.steps=100")
        try:
            given[name.strip()] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise SchemaError(f"the override {override!r}: {text!r} is not YAML", "quote the value") from None
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            raise SchemaError(
                f"tune.{name} is not a setting of '{kind}'", nearest(name, model.model_fields)
            ) from None
        raise SchemaError(
            f"tune.{name}: {first['msg']}, but is {first['input']!r}", "fix the value"
        ) from None
