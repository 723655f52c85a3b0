"""What methods for scenarios share: codes with a share of unknown ones, rows grouped by scenario, moments by scenario.

Weights of a scenario are met by the rows of that scenario alone. Rows are put in order of their scenario and cut into
chunks of one scenario each, so that a layer is one batched product whatever the number of scenarios; no weights are
gathered for each row, and no scenario's layer is computed for rows of another.

Legend of shapes: B rows, S scenario codes (0 is unknown), C chunks, L rows of a chunk, T tasks, D width in, H width out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from pydantic import Field
from torch import Tensor, nn

from motet.errors import ModelError
from motet.models import Inputs
from motet.models._sequences import Dropout
from motet.models.architectures._architecture import Shape
from motet.schema import Part

__all__ = [
    "RoutedLayers",
    "RoutedTowers",
    "RowGroups",
    "ScenarioCodes",
    "ScenarioMoments",
    "ScenarioOptions",
    "he_uniform",
    "require_scenarios",
    "with_neutral",
]


class ScenarioOptions(Part):
    """What methods for scenarios have in common.

    Attributes:
        unknown: Share of training rows whose scenario is taken to be unknown, so that requests from a scenario that was
            not there in training, or from none, are answered well.
    """

    unknown: float = Field(0.1, ge=0, lt=1)


def require_scenarios(shape: Shape, name: str) -> int:
    """The number of scenario codes S.

    Raises:
        ModelError: If the schema has no scenario.
    """
    if not shape.scenario_codes:
        raise ModelError(
            f"the architecture '{name}' needs a scenario, and the schema has none",
            "name the column of the scenario in keys.scenario, or set model.architecture to shared_bottom",
        )
    return shape.scenario_codes


def he_uniform(*shape: int, inputs: int) -> nn.Parameter:
    """Weights drawn as He et al. 2015 say for layers before a ReLU."""
    bound = (6.0 / max(inputs, 1)) ** 0.5
    return nn.Parameter(torch.empty(*shape).uniform_(-bound, bound))


def with_neutral(own: Tensor, value: float) -> Tensor:
    """Weights of the known scenarios with those of the unknown one before them, which change nothing.

    Args:
        own: [S − 1, …].
        value: What changes nothing: 1 for factors, 0 for summands.

    Returns:
        [S, …].
    """
    return torch.cat([own.new_full((1, *own.shape[1:]), value), own])


class ScenarioCodes(nn.Module):
    """The scenario code of each row, and inputs that agree with it.

    In training a share of the rows is taken to be of no known scenario. Where the code is 0, in training or not, the
    inputs that embed the scenario are 0 as well: else what is learnt for unknown scenarios would rest on known ones.

    Args:
        shape: What surrounds the architecture.
        unknown: Share of training rows.
    """

    def __init__(self, *, shape: Shape, unknown: float) -> None:
        super().__init__()
        self.unknown, self.columns = unknown, shape.scenario_columns

    def forward(self, inputs: Inputs) -> tuple[Inputs, Tensor]:
        """The inputs, and codes [B]."""
        codes = inputs.scenario
        if self.training and self.unknown:
            codes = codes * (torch.rand(len(codes), device=codes.device) >= self.unknown)
        known = codes[: len(inputs.context)] > 0  # the context of a request is one row
        first, stop = self.columns
        if stop > first and not bool(known.all()):
            kept = inputs.context.new_ones(inputs.context.shape)
            kept[:, first:stop] = known[:, None].to(kept.dtype)
            inputs = replace(inputs, context=inputs.context * kept, _rows={})
        return inputs, codes


@dataclass(frozen=True, slots=True)
class RowGroups:
    """Rows in chunks of one scenario each.

    A chunk has ⌈B/S⌉ rows, so that there are at most 2·S chunks, and at most B rows of padding.

    Attributes:
        codes: Scenario of each chunk, [C].
        place: Row at each place of the chunks, [C·L]; any row where there is none. None where all rows are of one scenario.
        back: Place of each row, [B]; None likewise.
    """

    codes: Tensor
    place: Tensor | None = None
    back: Tensor | None = None

    @classmethod
    def of(cls, codes: Tensor, count: int) -> RowGroups:
        """Group rows by their codes, [B] in [0, count)."""
        rows = len(codes)
        counts = torch.bincount(codes, minlength=count)
        if int(counts.max()) == rows:  # a request, or a model of one scenario
            return cls(codes[:1])
        size = -(-rows // count)
        chunks = (counts + size - 1) // size
        total = int(chunks.sum())
        order = codes.argsort(stable=True)
        of_row = codes.index_select(0, order)
        rank = torch.arange(rows, device=codes.device) - (counts.cumsum(0) - counts).index_select(0, of_row)
        slot = (chunks.cumsum(0) - chunks).index_select(0, of_row) * size + rank
        place = torch.zeros(total * size, dtype=torch.int64, device=codes.device).index_copy_(0, slot, order)
        back = torch.empty_like(codes).index_copy_(0, order, slot)
        of_chunk = torch.repeat_interleave(
            torch.arange(count, device=codes.device), chunks, output_size=total
        )
        return cls(of_chunk, place, back)

    def spread(self, x: Tensor) -> Tensor:
        """Rows into chunks, [B, …] → [C, L, …]."""
        if self.place is None:
            return x.unsqueeze(0)
        return x.index_select(0, self.place).view(len(self.codes), -1, *x.shape[1:])

    def collect(self, x: Tensor) -> Tensor:
        """Chunks back into rows, [C, L, …] → [B, …]."""
        return x.squeeze(0) if self.back is None else x.flatten(0, 1).index_select(0, self.back)

    def of_chunks(self, weights: Tensor) -> Tensor:
        """Weights of each chunk's scenario, [S, …] → [C, …]."""
        return weights.index_select(0, self.codes)


class RoutedLayers(nn.Module):
    """K perceptrons for every scenario, ReLU after each layer; rows meet those of their own scenario.

    Args:
        scenarios: S.
        inputs: Width D of the inputs.
        hidden: Layer widths.
        count: Perceptrons K of each scenario.
        dropout: Share dropped after each layer.

    Shapes:
        [C, L, D] → [C, K, L, H].
    """

    def __init__(
        self, *, scenarios: int, inputs: int, hidden: Sequence[int], count: int = 1, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for out in hidden:
            self.weights.append(he_uniform(scenarios, count, inputs, out, inputs=inputs))
            self.biases.append(nn.Parameter(torch.zeros(scenarios, count, 1, out)))
            inputs = out
        self.dropout = Dropout(dropout)
        self.count, self.width = count, inputs

    def forward(self, x: Tensor, groups: RowGroups) -> Tensor:
        h = x.unsqueeze(1).expand(-1, self.count, -1, -1)
        for weight, bias in zip(self.weights, self.biases, strict=True):
            h = self.dropout(torch.relu_(h @ groups.of_chunks(weight) + groups.of_chunks(bias)))
        return h


class RoutedTowers(nn.Module):
    """A small perceptron for every scenario and task; rows meet those of their own scenario.

    Args:
        scenarios: S.
        width: Width D of each task's representation.
        outputs: Outputs of each task: 1, or its number of classes.
        hidden: Hidden width; 0 for a linear one.
        dropout: Share dropped after the hidden layer.

    Shapes:
        [T or 1, B, D] → logits [B, W], task after task.
    """

    def __init__(
        self, *, scenarios: int, width: int, outputs: Sequence[int], hidden: int = 32, dropout: float = 0.0
    ) -> None:
        super().__init__()
        tasks, widest = len(outputs), max(outputs)
        self.tasks = tasks
        self.hidden = he_uniform(scenarios, tasks, width, hidden, inputs=width) if hidden else None
        self.hidden_bias = nn.Parameter(torch.zeros(scenarios, tasks, 1, hidden)) if hidden else None
        self.dropout = Dropout(dropout)
        inputs = hidden or width
        self.weight = he_uniform(scenarios, tasks, inputs, widest, inputs=inputs + 1)
        self.bias = nn.Parameter(torch.zeros(scenarios, tasks, 1, widest))
        kept = [t * widest + k for t, n in enumerate(outputs) for k in range(n)]
        self.register_buffer("kept", torch.tensor(kept), persistent=False)
        with torch.no_grad():  # columns past a task's own outputs are never read
            for t, n in enumerate(outputs):
                self.weight[:, t, :, n:] = 0.0

    def forward(self, x: Tensor, groups: RowGroups) -> Tensor:
        h = groups.spread(x.transpose(0, 1)).transpose(1, 2)  # [C, T or 1, L, D]
        h = h.expand(-1, self.tasks, -1, -1)
        if self.hidden is not None and self.hidden_bias is not None:
            first, bias = groups.of_chunks(self.hidden), groups.of_chunks(self.hidden_bias)
            h = self.dropout(torch.relu_(h @ first + bias))
        y = h @ groups.of_chunks(self.weight) + groups.of_chunks(self.bias)  # [C, T, L, widest]
        return groups.collect(y.transpose(1, 2)).flatten(1).index_select(1, self.kept)  # type: ignore[arg-type]


_ENOUGH_ROWS = 16
_EPS = 1e-5


class ScenarioMoments(nn.Module):
    """Standardises each row by the mean and variance of its scenario.

    In training those of the batch's rows of the scenario, where there are sixteen; else, and always in evaluation, the
    running ones of the scenario, so that a row's output depends on that row alone. Running moments are those of about
    the last ``memory`` rows of the scenario. Code 0 has the moments of all rows, and so has a scenario without a row so far.

    Args:
        scenarios: S.
        width: D.
        memory: Rows.

    Shapes:
        x [B, D], codes [B] → [B, D].
    """

    def __init__(self, *, scenarios: int, width: int, memory: int) -> None:
        super().__init__()
        self.memory = memory
        self.register_buffer("mean", torch.zeros(scenarios, width))
        self.register_buffer("variance", torch.ones(scenarios, width))
        self.register_buffer("rows", torch.zeros(scenarios))
        self.mean: Tensor
        self.variance: Tensor
        self.rows: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        if self.training:
            counts, mean, variance = self._of_batch(x, codes)
            self._update(counts.detach(), mean.detach(), variance.detach())
            enough = (counts >= _ENOUGH_ROWS)[:, None]
            running = self._running()
            mean, variance = torch.where(enough, mean, running[0]), torch.where(enough, variance, running[1])
        else:
            mean, variance = self._running()
        scale = (variance + _EPS).rsqrt()
        return (x - mean.index_select(0, codes)) * scale.index_select(0, codes)

    def _of_batch(self, x: Tensor, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rows [S], mean and variance [S, D] of each scenario; at 0 those of all rows."""
        counts = torch.bincount(codes, minlength=len(self.rows)).to(x.dtype)
        divisor = counts.clamp(min=1)[:, None]
        zeros = x.new_zeros(len(counts), x.shape[1])
        mean = zeros.index_add(0, codes, x) / divisor
        variance = zeros.index_add(0, codes, (x - mean.index_select(0, codes)).square()) / divisor
        of_all = x.mean(0, keepdim=True), x.var(0, unbiased=False, keepdim=True)
        counts = torch.cat([counts.new_full((1,), len(x)), counts[1:]])
        return counts, torch.cat([of_all[0], mean[1:]]), torch.cat([of_all[1], variance[1:]])

    @torch.no_grad()
    def _update(self, counts: Tensor, mean: Tensor, variance: Tensor) -> None:
        """Moments of what was there and of what has come, together (Chan et al. 1983)."""
        share = (counts / (self.rows + counts).clamp(min=1))[:, None]
        gap = mean - self.mean
        self.variance.copy_(
            (1 - share) * self.variance + share * variance + share * (1 - share) * gap.square()
        )
        self.mean.add_(share * gap)
        self.rows.add_(counts).clamp_(max=self.memory)

    def _running(self) -> tuple[Tensor, Tensor]:
        seen = (self.rows > 0)[:, None]
        return torch.where(seen, self.mean, self.mean[:1]), torch.where(
            seen, self.variance, self.variance[:1]
        )
