"""``motet replay``: what a policy would have earned, from the lists of the recommendation log."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from motet.cli._experiments import Place, opened_store, read_yaml
from motet.cli._options import Json, model_opener, out_console, print_json
from motet.cli._output import progress_on_terminal
from motet.errors import RequestError

if TYPE_CHECKING:
    from motet.service.engine import Replayed
    from motet.service.experiments import VariantSettings

__all__ = ["replay"]


def replay(
    policy: Annotated[
        Path,
        typer.Argument(
            help="Directory of a bundle, or YAML file: bundle, and objective, diversity, explore as in a request."
        ),
    ],
    store: Place,
    reward: Annotated[
        list[str],
        typer.Option(help="Type of event that rewards an item of the list that it names; repeatable."),
    ],
    depth: Annotated[int, typer.Option(help="Ranks that are looked at.", min=1, max=50)] = 1,
    lists: Annotated[int, typer.Option(help="Most lists, the newest.", min=100)] = 10_000,
    clip: Annotated[
        float | None, typer.Option(help="Largest weight: less variance for some bias.", min=1)
    ] = None,
    as_json: Json = False,
) -> None:
    """Estimate what a bundle or an objective would have earned, before it is deployed.

    From lists of the recommendation log in which places were drawn (explore), by their propensities: IPS, SNIPS and DR
    with 95 % intervals.
    """
    with opened_store(store) as opened:
        from motet.service.engine import ServedModel  # noqa: PLC0415 (a command imports what it uses)
        from motet.service.engine import replay as estimate  # noqa: PLC0415

        bundle, settings = _policy(policy)
        served = ServedModel(bundle.name, bundle, model_opener(None), opened)
        with progress_on_terminal(as_json) as report:
            found = estimate(
                opened,
                served,
                settings,
                reward,
                depth=depth,
                most=lists,
                clip=clip,
                progress=partial(report, "weighing lists"),
            )
    if as_json:
        print_json(asdict(found))
    else:
        _print(found)


def _policy(path: Path) -> tuple[Path, VariantSettings]:
    from pydantic import ValidationError  # noqa: PLC0415

    from motet.service.experiments import VariantSettings  # noqa: PLC0415

    content: dict[str, Any] = {"bundle": str(path)} if path.is_dir() else read_yaml(path, "a policy")
    bundle = content.pop("bundle", None)
    if not isinstance(bundle, str):
        raise RequestError(f"{path} names no bundle", "add bundle: runs/demo")
    try:
        return Path(bundle), VariantSettings.model_validate({"name": "policy", **content})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RequestError(
            f"{path} is wrong at '{where[:200]}': {first['msg']}",
            "write bundle, objective, diversity, explore",
        ) from None


def _print(found: Replayed) -> None:
    table = Table(f"rewarded items in the first {found.depth} of a list", box=SIMPLE_HEAD)
    for column in ("value", "95 % interval"):
        table.add_column(column, justify="right")
    for name, one in {"as it was": found.logged, **found.values}.items():
        table.add_row(name, f"{one.value:.4f}", f"{one.interval[0]:.4f} … {one.interval[1]:.4f}")
    out_console.print(table)
    out_console.print(f"{found.lists:,} lists with drawn places; {found.skipped:,} without say nothing")
    for rank, (weight, effective) in enumerate(zip(found.mean_weight, found.effective, strict=True), 1):
        warning = ": the log hardly covers this policy" if not 0.8 <= weight <= 1.25 else ""
        out_console.print(f"rank {rank}: mean weight {weight:.2f}, effective lists {effective:,.0f}{warning}")
