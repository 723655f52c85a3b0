"""HoME.

Wang, Cao, Fu, Gai & Zhou 2024, "HoME: Hierarchy of multi-gate experts for multi-task learning at Kuaishou",
arXiv 2408.05430. Tasks are in groups. Meta experts of each group and shared ones come first, then experts of each
group, of each task and shared ones; who may use whom is fixed (the hierarchy mask). For a group g, the task k in it,
and the input v:

    E(x)    = swish(γ·(W·x − μ)/√(σ² + ε) + β)                          (1) expert, with batch normalisation
    v_p     = v ⊙ Σ_l softmax(W_p·v)_l·2σ(A_{p,l}·(B_{p,l}·v + c))      (2) feature gate of group p or the shared path
    z_g     = Σ gate_g(v)·{E_g(v_g), E_s(v_s)} + S_g(v)·{E_g(v_g)}      (3) meta experts of g and the shared ones
    z_s     = Σ gate_s(v)·{all meta experts} + S_s(v)·{E_s(v_s)}        (4)
    h_k     = Σ gate_k([z_g; z_s])·{E'_k(z_g), E'_g(z_g), E'_s(z_s)} + S_k(z_g)·{E'_k(z_g)}      (5)
    yₖ      = hᵏ(h_k)

gate is a softmax; the self-gate S, which hands its own experts to a path or task whatever its gate says, is σ for one
expert and a softmax for several. μ and σ² are those of the batch while training and running means elsewhere. Experts
have one layer, and the β of swish is 1. Feature gates stand before the first level alone; some public versions have
them before the experts of the second one too. Equations are numbered here.

Legend of shapes: B rows, T tasks, G groups, P = G + 1 paths (shared last), n experts of each path or task, D width of the
input, M width of a meta expert, H width of an expert, L gates of rank R.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from motet.errors import ModelError
from motet.models import FactorisedLinear, Inputs, Towers, mixture_weights
from motet.models.architectures._architecture import About, Architecture, Shape
from motet.schema import Part, require_known

__all__ = ["Home", "HomeOptions"]

_MOMENTUM = 0.1  # of running means, once there were ten steps
_EPS = 1e-5


class HomeOptions(Part):
    """Options of HoME.

    Attributes:
        groups: Groups of tasks, each task in one; yes-or-no tasks and the others when left out.
        experts: Experts n of each group, of each task, and shared, on either level.
        meta_hidden: Width of a meta expert.
        hidden: Width of an expert of the second level.
        gates: Gates L of low rank in a feature gate.
        rank: Their rank R.
        tower: Hidden width of each tower; 0 for a linear one.
    """

    groups: tuple[tuple[str, ...], ...] = ()
    experts: int = Field(1, ge=1)
    meta_hidden: int = Field(128, ge=1)
    hidden: int = Field(64, ge=1)
    gates: int = Field(2, ge=1)
    rank: int = Field(16, ge=1)
    tower: int = Field(32, ge=0)


class Home(Architecture):
    """Meta experts of groups of tasks, then experts of tasks, all normalised, with feature gates and self-gates."""

    about = About(
        "sharing",
        "experts of groups of tasks, then of tasks, normalised, with feature gates and self-gates",
        "Wang et al. 2024, HoME: Hierarchy of multi-gate experts for multi-task learning at Kuaishou",
    )

    of_group: Tensor
    of_task: Tensor
    sources: Tensor

    def __init__(self, *, shape: Shape, options: HomeOptions) -> None:
        super().__init__()
        group_of = groups_of(shape, options.groups)
        tasks, groups, n = len(shape.outputs), max(group_of) + 1, options.experts
        paths = groups + 1
        self.paths, self.n, self.rank = paths, n, options.rank
        total = shape.widths.user + shape.widths.item + shape.widths.context
        # all that reads v by a linear layer is one product: B_{p,l}, W_p, the gates and self-gates of the paths
        gates = options.gates
        self.parts = [paths * gates * options.rank, paths * gates, groups * 2 * n, paths * n, paths * n]
        self.look = FactorisedLinear(widths=shape.widths, out=sum(self.parts))
        self.up = nn.Parameter(torch.randn(paths * gates, options.rank, total) * 0.02)  # A
        self.meta = NormalisedExperts(count=paths * n, inputs=total, out=options.meta_hidden)
        width = options.meta_hidden
        self.experts = NormalisedExperts(count=(paths + tasks) * n, inputs=width, out=options.hidden)
        self.gate = nn.Parameter(torch.randn(tasks, 2 * width, 3 * n) * (2 * width) ** -0.5)
        self.self_gate = nn.Parameter(torch.randn(tasks, width, n) * width**-0.5)
        some = torch.arange(n)
        of_path = torch.arange(paths)[:, None] * n + some  # places of the experts of each path, [P, n]
        group = torch.tensor(group_of)
        own = (paths + torch.arange(tasks))[:, None] * n + some
        shared = of_path[groups:]
        self.register_buffer(
            "of_group", torch.cat([of_path[:groups], shared.expand(groups, -1)], 1), persistent=False
        )
        self.register_buffer(
            "of_task", torch.cat([own, of_path[group], shared.expand(tasks, -1)], 1), persistent=False
        )
        sources = torch.cat([torch.arange(paths), group]).repeat_interleave(n)
        self.register_buffer("sources", sources, persistent=False)  # which z an expert reads
        self.register_buffer("group", group, persistent=False)
        self.towers = Towers(
            width=options.hidden,
            outputs=shape.outputs,
            hidden=options.tower,
            scenarios=shape.scenarios,
            dropout=shape.dropout,
        )

    def forward(self, inputs: Inputs, item_logits: Mapping[str, Tensor]) -> Tensor:
        v = inputs.rows(self.look.widths)  # [B, D]
        down, mix, of_groups, of_shared, of_self = self.look(inputs).split(self.parts, 1)
        x = v * self._feature_gates(down, mix)  # eq. 2, [P, B, D]
        meta = self.meta(x.repeat_interleave(self.n, 0))  # [P·n, B, M]
        z = self._mix(meta, self._meta_weights(of_groups, of_shared, of_self))  # eq. 3–4, [P, B, M]
        experts = self.experts(z.index_select(0, self.sources))  # [(P + T)·n, B, H]
        h = self._mix(experts, self._task_weights(z, len(experts)))  # eq. 5, [T, B, H]
        logits: Tensor = self.towers(h, inputs.scenario)
        return logits

    def _feature_gates(self, down: Tensor, mix: Tensor) -> Tensor:
        """Σ_l softmax(W_p·v)_l·2σ(A·(B·v + c)) of every path, [P, B, D]."""
        low = down.reshape(len(down), -1, self.rank).transpose(0, 1)
        gates = 2 * torch.bmm(low, self.up).sigmoid()  # [P·L, B, D]
        weights = mixture_weights(mix.reshape(len(mix), self.paths, -1))  # [B, P, L]
        return torch.einsum("bpl,plbd->pbd", weights, gates.view(self.paths, -1, *gates.shape[1:]))

    def _meta_weights(self, of_groups: Tensor, of_shared: Tensor, of_self: Tensor) -> Tensor:
        """Weights of every path over all meta experts, [B, P, P·n]."""
        groups, n = self.paths - 1, self.n
        rows = len(of_self)
        weights = of_self.new_zeros(rows, groups, self.paths * n)
        known = mixture_weights(of_groups.reshape(rows, groups, 2 * n))
        weights = weights.scatter(2, self.of_group.expand(rows, -1, -1), known)
        weights = torch.cat([weights, mixture_weights(of_shared)[:, None]], 1)
        eye = torch.eye(self.paths, dtype=weights.dtype, device=weights.device)
        own = _self_weights(of_self.reshape(rows, self.paths, n))  # [B, P, n]
        return weights + (own[:, :, None] * eye[:, :, None]).flatten(2)

    def _task_weights(self, z: Tensor, count: int) -> Tensor:
        """Weights of every task over all experts of the second level, [B, T, (P + T)·n]."""
        of_group = z.index_select(0, self.group)  # type: ignore[arg-type]
        both = torch.cat([of_group, z[-1:].expand(len(of_group), -1, -1)], 2)  # [z_g; z_s]
        gate = mixture_weights(torch.bmm(both, self.gate))  # [T, B, 3n], own experts first
        own = _self_weights(torch.bmm(of_group, self.self_gate))
        gate = (gate + F.pad(own, (0, 2 * self.n))).transpose(0, 1)
        rows, tasks, _ = gate.shape
        return gate.new_zeros(rows, tasks, count).scatter(2, self.of_task.expand(rows, -1, -1), gate)

    def _mix(self, experts: Tensor, weights: Tensor) -> Tensor:
        return torch.bmm(weights, experts.transpose(0, 1)).transpose(0, 1)


class NormalisedExperts(nn.Module):
    """E experts swish(γ·(W·x − μ)/√(σ² + ε) + β), one batched product, normalised over the batch.

    Shapes:
        [E, B, D] → [E, B, H].
    """

    mean: Tensor
    variance: Tensor
    steps: Tensor

    def __init__(self, *, count: int, inputs: int, out: int) -> None:
        super().__init__()
        bound = (6.0 / inputs) ** 0.5
        self.weight = nn.Parameter(torch.empty(count, inputs, out).uniform_(-bound, bound))
        self.scale = nn.Parameter(torch.ones(count, 1, out))
        self.shift = nn.Parameter(torch.zeros(count, 1, out))
        self.register_buffer("mean", torch.zeros(count, 1, out))
        self.register_buffer("variance", torch.ones(count, 1, out))
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.bmm(x, self.weight)
        mean, variance = self.mean, self.variance
        if self.training and x.shape[1] > 1:
            variance, mean = torch.var_mean(y, 1, correction=0, keepdim=True)
            with torch.no_grad():  # the first steps count alike, so that a short training has means too
                self.steps += 1
                rate = max(_MOMENTUM, 1 / int(self.steps))
                self.mean.lerp_(mean, rate)
                self.variance.lerp_(variance, rate)
        return F.silu((y - mean) * (variance + _EPS).rsqrt() * self.scale + self.shift)


def _self_weights(logits: Tensor) -> Tensor:
    return logits.sigmoid() if logits.shape[-1] == 1 else mixture_weights(logits)


def groups_of(shape: Shape, groups: tuple[tuple[str, ...], ...]) -> list[int]:
    """The group of each task.

    Raises:
        ModelError: If a name is not a task, or a task is in no group or in two.
    """
    if not groups:
        kinds = [name not in shape.chances for name in shape.tasks]
        return [0] * len(kinds) if len(set(kinds)) == 1 else [int(kind) for kind in kinds]
    named = [name for group in groups for name in group]
    for name in named:
        require_known(name, shape.tasks, "model.options.groups: the task", ModelError)
    wrong = [name for name in shape.tasks if named.count(name) != 1]
    if wrong or not all(groups):
        what = f"'{wrong[0]}' is in {named.count(wrong[0])} of the groups" if wrong else "a group is empty"
        raise ModelError(f"model.options.groups: {what}", "put every task into exactly one group")
    return [next(g for g, group in enumerate(groups) if name in group) for name in shape.tasks]
