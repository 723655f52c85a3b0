"""Sequence encoders, and a dropout whose mask costs an eighth of the random numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "AttentionSequence",
    "ConvolutionSequence",
    "Dropout",
    "LstmSequence",
    "MeanSequence",
    "RecurrentSequence",
    "TargetAttention",
    "event_mask",
]


class Dropout(nn.Module):
    """Sets a share of units to zero in training and scales the rest (Srivastava et al. 2014).

    One byte of randomness decides each unit, so that the share is a multiple of 1/256; drawing a
    float for each would take longer than the matrix product behind it.

    Args:
        share: Share of units to drop, in [0, 1); rounded to 1/256.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.threshold = round(share * 256)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.threshold:
            return x
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device).random_(-(2**63), None)
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= self.threshold
        return x * kept * (256 / (256 - self.threshold))


# Sequence encoders: a user's last events → one vector.
#
# Shapes: events [n, L, d], lengths [n] → [n, d]; an empty sequence gives zeros.

_HIDDEN = -1e9  # finite, so that a row of padding alone has a gradient of zero and not NaN


def event_mask(events: Tensor, lengths: Tensor) -> Tensor:
    """True where an event is real and not padding, [n, L]."""
    return torch.arange(events.shape[1], device=events.device) < lengths[:, None]


class MeanSequence(nn.Module):
    """A weighted mean of the events, with a learnt weight for each age.

    v = Σ_a w_a·e_a / Σ_a w_a over the ages a of the events, w = exp(recency).
    """

    def __init__(self, *, width: int, last: int) -> None:
        super().__init__()
        self.recency = nn.Parameter(torch.zeros(last))

    def forward(self, events: Tensor, lengths: Tensor) -> Tensor:
        n, length, width = events.shape
        return self.pool(events.reshape(-1, width), torch.arange(n * length).view(n, length), lengths)

    def pool(self, rows: Tensor, positions: Tensor, lengths: Tensor) -> Tensor:
        """The same from embedding rows, without a copy of them for each event.

        Args:
            rows: [R, d].
            positions: Row of each event, int64 [n, L].
            lengths: int64 [n].

        Returns:
            [n, d].
        """
        real = event_mask(positions, lengths)
        owner = torch.repeat_interleave(lengths)
        ends = lengths.cumsum(0)
        age = ends[owner] - 1 - torch.arange(len(owner), device=rows.device)
        weight = (self.recency - self.recency.detach().max()).exp()
        total = weight.cumsum(0)[(lengths - 1).clamp(min=0)]
        share = weight[age] / total[owner]
        return F.embedding_bag(positions[real], rows, ends - lengths, mode="sum", per_sample_weights=share)


class RecurrentSequence(nn.Module):
    """The last state of a GRU (Hidasi et al. 2016) or LSTM over the events."""

    paper = "Hidasi et al. 2016, Session-based recommendations with recurrent neural networks"

    def __init__(self, *, width: int, last: int, cell: str = "gru") -> None:
        super().__init__()
        self.cell = {"gru": nn.GRU, "lstm": nn.LSTM}[cell](width, width, batch_first=True)

    def forward(self, events: Tensor, lengths: Tensor) -> Tensor:
        states, _ = self.cell(events)
        last = (lengths - 1).clamp(min=0)[:, None, None].expand(-1, 1, states.shape[2])
        final: Tensor = states.gather(1, last).squeeze(1)
        return final * (lengths > 0)[:, None]


class ConvolutionSequence(nn.Module):
    """Convolutions of widths 2, 3 and 4 over the events, largest response (Caser, Tang & Wang 2018)."""

    paper = (
        "Tang & Wang 2018, Personalized top-N sequential recommendation via convolutional sequence embedding"
    )

    def __init__(self, *, width: int, last: int) -> None:
        super().__init__()
        self.filters = nn.ModuleDict({str(k): nn.Conv1d(width, width, kernel_size=k) for k in (2, 3, 4)})
        self.out = nn.Linear(3 * width, width)

    def forward(self, events: Tensor, lengths: Tensor) -> Tensor:
        mask = event_mask(events, lengths)
        x = (events * mask[..., None]).transpose(1, 2)
        # a window that ends in padding is no response: else the longest sequence of a batch would matter
        responses = [
            (F.relu(conv(F.pad(x, (int(k) - 1, 0)))) * mask[:, None]).amax(2)
            for k, conv in self.filters.items()
        ]
        pooled: Tensor = self.out(torch.cat(responses, 1))
        return pooled * (lengths > 0)[:, None]


class AttentionSequence(nn.Module):
    """Causal self-attention, output at the last event (SASRec, Kang & McAuley 2018, eq. 2–6)."""

    paper = "Kang & McAuley 2018, Self-attentive sequential recommendation (SASRec)"

    def __init__(self, *, width: int, last: int, heads: int = 2, dropout: float = 0.1) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.randn(last, width) * 0.02)
        self.heads = heads if width % heads == 0 else 1
        self.norm_in, self.norm_mid = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.dropout = Dropout(dropout)

    def forward(self, events: Tensor, lengths: Tensor) -> Tensor:
        n, length, d = events.shape
        age = (lengths[:, None] - 1 - torch.arange(length)).clamp(min=0)
        x = events + self.position[age]
        q, k, v = (
            self.qkv(self.norm_in(x)).view(n, length, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        )
        # padding stands at the end, so that the causal mask alone hides it from real events
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.dropout(mixed.transpose(1, 2).reshape(n, length, d))
        x = x + self.dropout(self.feed(self.norm_mid(x)))
        last = (lengths - 1).clamp(min=0)[:, None, None].expand(-1, 1, d)
        final: Tensor = x.gather(1, last).squeeze(1)
        return final * (lengths > 0)[:, None]


class TargetAttention(nn.Module):
    """Attention from the scored item to the events (DIN, Zhou et al. 2018, eq. 3, with softmax).

    Shapes: events [n, L, d], lengths [n], target [B, d], row → n index [B] → [B, d].
    """

    paper = "Zhou et al. 2018, Deep interest network for click-through rate prediction (DIN)"

    sees_item = True

    def __init__(self, *, width: int, last: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.recency = nn.Parameter(torch.zeros(last))
        nn.init.eye_(self.query.weight)

    def forward(self, events: Tensor, lengths: Tensor, target: Tensor, of_row: Tensor) -> Tensor:
        mask = event_mask(events, lengths)
        age = (lengths[:, None] - 1 - torch.arange(events.shape[1])).clamp(min=0)
        prior = self.recency[age].masked_fill(~mask, _HIDDEN)
        keys = events.index_select(0, of_row)
        score = torch.bmm(keys, self.query(target)[:, :, None]).squeeze(2) / math.sqrt(target.shape[1])
        weight = (score + prior.index_select(0, of_row)).softmax(1) * mask.index_select(0, of_row)
        return torch.bmm(weight[:, None], keys).squeeze(1)


class LstmSequence(RecurrentSequence):
    """A recurrent sequence of LSTM cells."""

    def __init__(self, *, width: int, last: int) -> None:
        super().__init__(width=width, last=last, cell="lstm")
