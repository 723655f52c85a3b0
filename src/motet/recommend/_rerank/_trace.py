"""What each step of re-ranking did to each item."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Step", "Trace"]


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did to one item.

    Attributes:
        name: The step.
        before: Rank before it, from 1; None where the item came in by this step.
        after: Rank after it; None where the item went out by it.
        reason: Why, in a few words.
    """

    name: str
    before: int | None
    after: int | None
    reason: str


@dataclass(slots=True)
class Trace:
    """The steps of one request, by row of the item.

    Attributes:
        wanted: Whether anything is noted.
        steps: By row.
    """

    wanted: bool = True
    steps: dict[int, list[Step]] = field(default_factory=dict)

    def moved(
        self, name: str, before: list[int], after: list[int], reasons: dict[int, str], default: str
    ) -> None:
        """Note every item whose rank a step changed, or of which it has something to say.

        Args:
            name: The step.
            before: Rows in the order before.
            after: Rows in the order after.
            reasons: Per row that the step acted on.
            default: Reason for the others, which made room.
        """
        if not self.wanted:
            return
        old = {row: rank for rank, row in enumerate(before, 1)}
        new = {row: rank for rank, row in enumerate(after, 1)}
        for row in {**old, **new}:
            if old.get(row) != new.get(row) or row in reasons:
                step = Step(name, old.get(row), new.get(row), reasons.get(row, default))
                self.steps.setdefault(row, []).append(step)

    def of(self, row: int) -> tuple[Step, ...]:
        """The steps of one item, in order."""
        return tuple(self.steps.get(row, ()))
