"""The command that sends a data set to a service as if it happened now."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from motet.cli._options import Json, print_json
from motet.cli._output import progress_on_terminal
from motet.errors import RequestError, require_packages

if TYPE_CHECKING:
    import httpx

__all__ = ["replay_dataset"]

_RECORDS: Final = 500  # items or users a call
_CALLS_A_S: Final = 10.0
_MOST_EVENTS: Final = 500  # a call
_TRIES: Final = 8


def replay_dataset(
    name: Annotated[str, typer.Argument(help="Name from `motet datasets list`.")],
    url: Annotated[str, typer.Option(help="Address of the service.")] = "http://127.0.0.1:8000",
    rate: Annotated[float, typer.Option(help="Events a second.", min=0.1, max=100_000)] = 200.0,
    start: Annotated[int, typer.Option(help="Events to leave out at the beginning.", min=0)] = 0,
    limit: Annotated[int | None, typer.Option(help="Events to send; all when left out.", min=1)] = None,
    key: Annotated[str, typer.Option(help="Key of the service, if it needs one.", envvar="MOTET_KEY")] = "",
    as_json: Json = False,
) -> None:
    """Send a data set to a service: its items, its users, then its events in the order of their times.

    An event that was sent before counts once: what was interrupted may be sent again.
    """
    require_packages("serve", "httpx")
    import httpx  # noqa: PLC0415 (a command imports what it uses)

    from motet.datasets import DatasetStream, load  # noqa: PLC0415

    found = load(name)
    stream = DatasetStream(found.schema, found.directory)
    headers = {"X-API-Key": key} if key else {}
    sizes = stream.sizes()
    sent = {"items": 0, "users": 0, "events": 0}
    total = max(0, len(stream) - start) if limit is None else min(limit, max(0, len(stream) - start))
    with (
        httpx.Client(base_url=url, headers=headers, timeout=60.0) as client,
        progress_on_terminal(as_json) as report,
    ):
        for what, bodies in (("items", stream.items()), ("users", stream.users())):
            while some := list(islice(bodies, _RECORDS)):
                _post(client, f"/v1/{what}", {what: some})
                sent[what] += len(some)
                report(f"sending {what}", sent[what], sizes[what])
        events = islice(stream.events(start), limit)
        size = min(_MOST_EVENTS, max(1, round(rate / _CALLS_A_S)))
        began_s = time.monotonic()
        while some := list(islice(events, size)):
            _post(client, "/v1/events", {"events": some})
            sent["events"] += len(some)
            report("sending events", sent["events"], total)
            time.sleep(max(0.0, sent["events"] / rate - (time.monotonic() - began_s)))
    if as_json:
        print_json(sent)
    else:
        typer.echo(
            f"sent {sent['items']:,} items, {sent['users']:,} users and {sent['events']:,} events to {url}"
        )


def _post(client: httpx.Client, path: str, body: dict[str, Any]) -> None:
    """Send a body; again if the service asks for patience."""
    import httpx  # noqa: PLC0415

    for attempt in range(_TRIES):
        try:
            answer = client.post(path, json=body)
        except httpx.HTTPError as error:
            raise RequestError(
                f"{client.base_url} does not answer ({type(error).__name__})",
                "start the service there (motet serve), or name its address with --url",
            ) from None
        if answer.status_code not in (429, 503):
            break
        time.sleep(min(30.0, float(answer.headers.get("Retry-After", 1)) * (1 + attempt)))
    if answer.is_success:
        return
    kind = answer.headers.get("content-type", "")
    said = answer.json().get("detail", "") if "json" in kind else answer.text[:200]
    if answer.status_code in (401, 403):
        raise RequestError(f"the service refuses: {said}", "name a key that may write with --key")
    raise RequestError(f"the service refuses {path} ({answer.status_code}): {said}", "see its log")
