"""Every method that a schema may name, with what it is, what it needs and what it costs; read from the registries."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from pydantic import BaseModel
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from motet.errors import MissingExtraError, ModelError
from motet.models import Inputs, Widths
from motet.models.architectures import ARCHITECTURES, PLAIN, About, Shape
from motet.models.baselines import BASELINES
from motet.schema import SEQUENCE_ENCODERS, require_known
from motet.training.balancing import BALANCERS, Balancer, balancer_options

__all__ = ["Method", "MethodOption", "list_methods"]

MethodKind = Literal["architecture", "sequence encoder", "balancer", "baseline"]

# What costs are computed for: four tasks, every row with a user and an item of its own.
_ROWS, _TASKS, _SCENARIOS, _FIELD, _LAST = 64, ("click", "like", "buy", "rate"), 4, 32, 50
_WIDTHS = Widths(user=2 * _FIELD, item=2 * _FIELD, context=_FIELD)


@dataclass(frozen=True, slots=True)
class MethodOption:
    """An option of a method.

    Attributes:
        name: What the schema calls it.
        default: Its default; ``required`` if there is none.
        meaning: From the docstring.
    """

    name: str
    default: Any
    meaning: str


@dataclass(frozen=True, slots=True)
class Method:
    """A method that a schema may name.

    Attributes:
        name: What the schema calls it.
        kind: Which registry it is of.
        family: Group within its kind.
        summary: One line.
        paper: Authors, year, and short title; empty if there is none.
        needs: What has to be there; empty if nothing.
        marks: What it serves: ``cold`` and ``warm`` items, ``text``, and ``scenario``: with weights of each scenario.
        parameters: Of an architecture on 160 inputs and four tasks, or of an encoder of 50 events of width 32;
            None where that cannot be said.
        multiply_adds: In matrix products, of a row or a sequence; None likewise.
        backward_passes: Those of a balancer before the one that every step takes, with four tasks.
        options: What it can be told.
        text: The docstring, formula included.
    """

    name: str
    kind: MethodKind
    family: str
    summary: str
    paper: str = ""
    needs: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    parameters: int | None = None
    multiply_adds: int | None = None
    backward_passes: int | None = None
    options: tuple[MethodOption, ...] = ()
    text: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def list_methods(name: str | None = None) -> list[Method]:
    """Every architecture, sequence encoder, balancer and baseline, those added from outside included.

    Args:
        name: Only those with this name; it may be of several kinds.

    Raises:
        ModelError: If nothing has that name; the nearest is named.

    Example:
        >>> [method.kind for method in list_methods("fm")]
        ['architecture', 'baseline']
    """
    makers = (
        (ARCHITECTURES, _architecture),
        (SEQUENCE_ENCODERS, _sequence_encoder),
        (BALANCERS, _balancer),
        (BASELINES, _baseline),
    )
    if name is not None:
        require_known(
            name, sorted({known for table, _ in makers for known in table}), "the method", ModelError
        )
    return [make(one) for table, make in makers for one in table if name in (None, one)]


def _architecture(name: str) -> Method:
    kind, options = ARCHITECTURES[name]
    about: About | None = getattr(kind, "about", None)
    if name in PLAIN:  # the network beside it is of constants: what is served is the baseline
        plain = _baseline(name)
        return Method(
            name, "architecture", "plain", plain.summary, plain.paper,
            ("a task to rank by",) if name not in ("lightgbm", "hybrid_mf") else ("a task with labels on interactions",),
            plain.marks, options=_options(options, kind), text=plain.text,
        )  # fmt: skip
    gated, plainly = (_built(kind, options, scenarios) for scenarios in (_SCENARIOS, 0))
    # one that cannot be built without scenarios is made for them
    several = gated is not None and (plainly is None or _size(gated) != _size(plainly))
    return Method(
        name,
        "architecture",
        about.family if about else "other",
        about.summary if about else _summary(kind),
        about.paper if about else "",
        about.needs if about else (),
        ("cold", "warm", "text", *(("scenario",) if several else ())),
        None if gated is None else _size(gated),
        None if gated is None else _multiply_adds_of_row(gated),
        None,
        _options(options, kind),
        _text(kind),
    )


def _built(kind: type[Any], options: type[BaseModel], scenarios: int) -> nn.Module | None:
    """An architecture with its default options, or None if it cannot be built for this shape."""
    shape = Shape(
        widths=_WIDTHS,
        tasks=_TASKS,
        outputs=(1,) * len(_TASKS),
        entity_outputs={},
        scenarios=scenarios,
        fields={"user": (_FIELD,) * 2, "item": (_FIELD,) * 2, "interaction": (_FIELD,)},
        scenario_codes=scenarios,
        after={"buy": "click"},
        chances=frozenset(_TASKS[:3]),
    )
    try:
        with torch.random.fork_rng(devices=[]):
            built: nn.Module = kind(shape=shape, options=options())
            return built.eval()
    except Exception:  # whatever one from outside may raise: its line is shown without a cost
        return None


def _multiply_adds_of_row(built: nn.Module) -> int | None:
    rows = torch.arange(_ROWS)
    inputs = Inputs(
        user=torch.zeros(_ROWS, _WIDTHS.user),
        item=torch.zeros(_ROWS, _WIDTHS.item),
        context=torch.zeros(_ROWS, _WIDTHS.context),
        user_of_row=rows,
        item_of_row=rows,
        scenario=rows % _SCENARIOS,
        visible={},
    )
    return _multiply_adds(built, inputs, {})


def _multiply_adds(built: nn.Module, *given: Any) -> int | None:
    """Multiply-adds in the matrix products of a forward pass, a row; None if it cannot be run."""
    counter = FlopCounterMode(display=False)
    try:
        # the fused recurrent layers of oneDNN are no matrix products to the counter
        with (
            warnings.catch_warnings(action="ignore"),
            torch.no_grad(),
            torch.backends.mkldnn.flags(enabled=False),
            counter,
        ):
            built(*given)
    except Exception:  # as above
        return None
    return round(counter.get_total_flops() / 2 / _ROWS)


def _sequence_encoder(name: str) -> Method:
    kind = SEQUENCE_ENCODERS[name]
    sees_item = bool(getattr(kind, "sees_item", False))
    built: nn.Module | None
    try:
        with torch.random.fork_rng(devices=[]):
            built = kind(width=_FIELD, last=_LAST).eval()
    except Exception:  # as above
        built = None
    events, lengths = torch.zeros(_ROWS, _LAST, _FIELD), torch.full((_ROWS,), _LAST)
    given = (
        (events, lengths, torch.zeros(_ROWS, _FIELD), torch.arange(_ROWS)) if sees_item else (events, lengths)
    )
    return Method(
        name,
        "sequence encoder",
        "by the scored item" if sees_item else "once a user",
        _summary(kind),
        getattr(kind, "paper", ""),
        (),
        (),
        None if built is None else _size(built),
        None if built is None else _multiply_adds(built, *given),
        text=_text(kind),
    )


def _balancer(name: str) -> Method:
    kind = BALANCERS[name]
    passes = _backward_passes(name)
    return Method(
        name,
        "balancer",
        "by the losses" if passes == 0 else "by the gradients",
        _summary(kind),
        getattr(kind, "paper", ""),
        getattr(kind, "needs", ()),
        backward_passes=passes,
        options=_options(balancer_options(name), kind),
        text=_text(kind),
    )


def _backward_passes(name: str) -> int | None:
    shared = torch.zeros(8, requires_grad=True)
    reached: list[int] = []
    losses = {}
    for k, task in enumerate(_TASKS):
        x = shared * 1.0
        x.register_hook(lambda _: reached.append(1))  # type: ignore[no-untyped-call]
        losses[task] = ((x - 1.0 - k) * (k + 1)).square().mean()
    try:
        balancer: Balancer = BALANCERS[name](weights=dict.fromkeys(_TASKS, 1.0))
        balancer(losses, [shared])
    except MissingExtraError:
        return len(_TASKS)  # extras are of methods that look at gradients
    except Exception:  # as above
        return None
    return len(reached)


def _baseline(name: str) -> Method:
    kind = BASELINES[name]
    return Method(name, "baseline", "plain", _summary(kind), kind.paper, marks=kind.marks, text=_text(kind))


def _size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _text(kind: Any) -> str:
    return inspect.cleandoc(kind.__doc__ or "")


def _summary(kind: Any) -> str:
    """The first paragraph of a docstring, as one line without a full stop."""
    return " ".join(_text(kind).partition("\n\n")[0].split()).removesuffix(".")


def _options(options: type[BaseModel], kind: Any) -> tuple[MethodOption, ...]:
    said = dict(_meanings(_text(kind)))
    for base in reversed([base for base in options.__mro__ if issubclass(base, BaseModel)]):
        said |= _meanings(_text(base))
    return tuple(
        MethodOption(
            name,
            "required" if field.is_required() else field.get_default(call_default_factory=True),
            said.get(name, ""),
        )
        for name, field in options.model_fields.items()
    )


def _meanings(text: str) -> Mapping[str, str]:
    """What a Google-style docstring says of arguments and attributes, by name."""
    found: dict[str, str] = {}
    for section in re.findall(r"^(?:Args|Attributes):\n((?:(?: +.*)?\n?)*)", text, re.MULTILINE):
        for name, meaning in re.findall(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", section, re.MULTILINE):
            found[name] = " ".join(meaning.split())
    return found
