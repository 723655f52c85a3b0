from __future__ import annotations

import pytest

from motet.errors import GenerationError
from motet.text.generate import (
    BudgetedGenerator,
    CachedGenerator,
    GenerationBudget,
    GenerationCache,
    GenerationSettings,
    LocalGenerator,
    Prompt,
)

SHORT = GenerationSettings(max_tokens=6)
ASKED = [Prompt("Say yes."), Prompt("Say no.", "Be brief.")]


def test_what_is_spent_is_counted(local_generator: LocalGenerator) -> None:
    budget = GenerationBudget(tokens=1000, seconds=600, money=1.0, price_read=100.0, price_written=500.0)
    generator = BudgetedGenerator(local_generator, budget)
    answers = generator.generate(ASKED, SHORT)
    assert generator.tokens_read == sum(a.prompt_tokens for a in answers)
    assert generator.tokens_written == sum(a.tokens for a in answers)
    assert generator.money == pytest.approx(
        (100 * generator.tokens_read + 500 * generator.tokens_written) / 1e6
    )
    assert 0 < generator.seconds < 600


def test_an_estimate_bounds_what_it_will_cost(local_generator: LocalGenerator) -> None:
    generator = BudgetedGenerator(local_generator, GenerationBudget(tokens=150, price_written=2.0))
    before = generator.estimate(ASKED, SHORT)
    assert (before.prompts, before.tokens_written, before.seconds, before.fits) == (2, 12, None, True)
    assert before.money == pytest.approx(24e-6)
    answers = generator.generate(ASKED, SHORT)
    assert sum(a.tokens for a in answers) <= before.tokens_written
    after = generator.estimate(ASKED * 50, SHORT)
    assert not after.fits
    assert after.seconds is not None
    assert after.seconds > 0


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        (GenerationBudget(tokens=40), "up to .* tokens are asked for and 40 are left"),
        (GenerationBudget(money=1e-6, price_written=100.0), "up to .* would be spent"),
        (GenerationBudget(seconds=0), "has ended: 0.0 of 0 s are spent"),
    ],
)
def test_a_budget_that_will_not_do_is_an_error_before_anything_is_asked(
    budget: GenerationBudget, message: str
) -> None:
    unknown_user = LocalGenerator("/no/such/folder")  # would fail if it were loaded
    generator = BudgetedGenerator(unknown_user if budget.seconds == 0 else LocalGenerator(), budget)
    with pytest.raises(GenerationError, match=message):
        generator.generate(ASKED, SHORT)
    with pytest.raises(GenerationError, match=message):
        list(generator.stream(ASKED[0], GenerationSettings(max_tokens=100)))
    assert (generator.tokens_read, generator.tokens_written, generator.seconds) == (0, 0, 0.0)


def test_tokens_run_out(local_generator: LocalGenerator) -> None:
    generator = BudgetedGenerator(local_generator, GenerationBudget(tokens=160))
    generator.generate(ASKED, SHORT)
    with pytest.raises(GenerationError, match="are left"):
        generator.generate(ASKED * 2, SHORT)


def test_time_runs_out_in_the_middle(local_generator: LocalGenerator) -> None:
    generator = BudgetedGenerator(local_generator, GenerationBudget(seconds=0.5))
    with pytest.raises(GenerationError, match=r"time limit ran out|has ended"):
        generator.generate([Prompt(f"Count to {i}.") for i in range(400)], SHORT)
    with pytest.raises(GenerationError, match="has ended"):
        generator.generate(ASKED, SHORT)


def test_a_stream_is_paid_for(local_generator: LocalGenerator) -> None:
    generator = BudgetedGenerator(local_generator, GenerationBudget(tokens=100))
    assert "".join(generator.stream(ASKED[0], SHORT))
    assert generator.tokens_read > 0
    assert 0 < generator.tokens_written <= 6


def test_what_is_known_costs_nothing(
    local_generator: LocalGenerator, tmp_path_factory: pytest.TempPathFactory
) -> None:
    inside = BudgetedGenerator(local_generator, GenerationBudget(tokens=150))
    generator = CachedGenerator(inside, GenerationCache(tmp_path_factory.mktemp("answers")))
    for _ in range(5):
        generator.generate(ASKED, SHORT)
    assert inside.tokens_read + inside.tokens_written <= 150


def test_a_failure_is_paid_for() -> None:
    generator = BudgetedGenerator(LocalGenerator(), GenerationBudget(tokens=120))
    for _ in range(2):
        with pytest.raises(GenerationError):
            generator.generate(
                ASKED[:1], GenerationSettings(max_tokens=4, answer={"type": "array", "minItems": 9})
            )
    with pytest.raises(GenerationError, match="are left"):
        generator.generate(ASKED * 2, SHORT)


@pytest.mark.parametrize(
    "budget",
    [GenerationBudget(tokens=-1), GenerationBudget(seconds=float("nan")), GenerationBudget(money=1.0)],
)
def test_a_budget_that_is_none(budget: GenerationBudget) -> None:
    with pytest.raises(GenerationError):
        BudgetedGenerator(LocalGenerator(), budget)
