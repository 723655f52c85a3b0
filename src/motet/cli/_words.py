"""The commands that answer in text: ask, explain, profile, describe, list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

import motet
from motet.cli._options import BundleDir, Json, Language, Model, Settings, User, out_console, print_json
from motet.cli._output import progress_on_terminal
from motet.errors import BundleError, SchemaError, require_packages
from motet.messages import say

if TYPE_CHECKING:
    from rich.padding import Padding

    from motet.assistant import Answer, Assistant, ListAnswer
    from motet.assistant.explain import Description, Explainer, Reason
    from motet.assistant.understand import Request, Tag
    from motet.data import Catalogue
    from motet.schema import LanguageSettings, Task

__all__ = ["ask", "describe", "explain", "language_settings", "make_a_list", "profile"]


def ask(
    bundle: BundleDir,
    request: Annotated[str, typer.Argument(help="What is wanted, in plain English or Chinese.")],
    user: User = "",
    k: Annotated[
        int, typer.Option("-k", help="Items, where the request names no number.", min=1, max=100)
    ] = 5,
    scenario: Annotated[str | None, typer.Option(help="Where they are shown.")] = None,
    follow_up: Annotated[
        list[str] | None,
        typer.Option("--follow-up", help='What is said next, such as "older" or "not that one"; repeatable.'),
    ] = None,
    conversation: Annotated[
        Path | None,
        typer.Option(help="File that keeps the conversation, so that the next command goes on with it."),
    ] = None,
    model: Model = False,
    changes: Settings = None,
    as_json: Json = False,
) -> None:
    """Recommend what was asked for: what was understood, items with every task's prediction, and a reason each."""
    require_packages("language", "rapidfuzz", "phonenumbers", "stdnum")
    from motet.assistant import Conversation  # noqa: PLC0415

    settings = language_settings(bundle, model, changes)
    so_far = Conversation(user=user)
    if conversation is not None:
        if conversation.exists():
            so_far = Conversation.load(conversation)
        so_far.save(conversation)  # a place that cannot be written is no surprise at the end
    with progress_on_terminal(as_json) as report:
        assistant = motet.load(bundle, language_model=settings, progress=report).assistant
        answers = []
        for text in (request, *(follow_up or ())):
            answer = assistant.ask(text, user=user, k=k, scenario=scenario, conversation=so_far)
            so_far = so_far.after(text, answer)
            answers.append(answer)
        if conversation is not None:
            so_far.save(conversation)
    if as_json:
        print_json(answers[0].to_json() if len(answers) == 1 else [answer.to_json() for answer in answers])
        return
    for text, answer in zip((request, *(follow_up or ())), answers, strict=True):
        if len(answers) > 1:
            out_console.print(f"\n[bold]› {escape(text)}[/bold]")
        _print_answer(answer, assistant)


def _print_answer(answer: Answer, assistant: Assistant) -> None:
    language = answer.request.language
    understood = _understood(answer.request, assistant.explainer.title, assistant.catalogue)
    out_console.print(f"[dim]{say('cli.understood', language)}:[/dim] {escape(understood)}")
    for item in answer.items:
        beside = ", ".join((item.id, *_facts(assistant.catalogue, item.id, answer.request.language)))
        out_console.print(f"\n{item.rank}. [bold]{escape(item.name)}[/bold]  [dim]({escape(beside)})[/dim]")
        out_console.print(_indented(item.reason))
        if item.misses:
            out_console.print(f"   {say('cli.misses', language)}: {escape(', '.join(item.misses))}")
        predicted = _predicted(item.predictions, assistant.recommender.schema.tasks)
        out_console.print(f"   [dim]{escape(predicted)}[/dim]")
    out_console.print()
    for line in answer.notes:
        out_console.print(escape(line))
    made_by = say(
        "cli.made_by",
        language,
        reader=_maker(answer.read_by, language),
        writer=_maker(answer.written_by, language),
        ms=f"{answer.elapsed_s * 1e3:,.0f}",
    )
    out_console.print(f"[dim]{escape(made_by)}[/dim]")


def _maker(name: str, language: str) -> str:
    """Who read or wrote: rules, templates, or a language model by its name."""
    return {"rules": say("cli.rules", language), "templates": say("cli.templates", language)}.get(name, name)


def _indented(text: str) -> Padding:
    from rich.padding import Padding  # noqa: PLC0415

    return Padding(escape(text), (0, 0, 0, 3))


def _understood(request: Request, title: Callable[[str], str], catalogue: Catalogue) -> str:
    """A request on one line, in its language: only what was said, items by their titles."""
    parts: list[str] = []
    language = request.language

    def add(key: str, values: Sequence[str]) -> None:
        if values:
            parts.append(f"{say(key, language)}: {', '.join(values)}")

    def words(tags: Sequence[Tag]) -> list[str]:
        return [catalogue.word(tag.value, language) for tag in tags]

    add("cli.must", words(request.must))
    add("cli.prefer", words(request.prefer))
    add("cli.must_not", words(request.must_not))
    for part in request.quotas:
        many = f"{part.low}" if part.high is None else say("cli.at_most", language, n=part.high)
        add("cli.parts", [f"{many} × {' + '.join(words(part.tags))}"])
    add("cli.facts", [fact.words or fact.entity for fact in request.facts])
    add("cli.facts_not", [fact.words or fact.entity for fact in request.facts_not])
    for limits, key in ((request.ranges, "cli.range"), (request.total, "cli.total")):
        for r in limits:
            low, high = (f"{x:g}" if x is not None else "…" for x in (r.low, r.high))
            name = catalogue.column_name(r.column, language) if language == "zh" else r.column
            parts.append(say(key, language, name=name, low=low, high=high))
    add("cli.like", [title(item) for item in request.like])
    add("cli.not_items", [title(item) for item in request.without])
    add("cli.count", [str(request.count)] if request.count else [])
    add("cli.scenario", [request.scenario] if request.scenario else [])
    add("cli.wants", [request.wants] if request.wants else [])
    return "; ".join(parts) or say("cli.nothing", language)


def _facts(catalogue: Catalogue, item: str, language: str) -> list[str]:
    """Numbers, tags and categories of an item, as text."""
    import polars as pl  # noqa: PLC0415

    row = catalogue.frame.filter(pl.col("id") == item).to_dicts()[0]
    found = [f"{row[column]:g}" for column in catalogue.numbers if row[column] is not None]
    for column in (*catalogue.tags, *catalogue.categories):
        values = row[column] if isinstance(row[column], list) else [row[column]]
        found += [catalogue.word(value, language) for value in values if value]
    return found


def _predicted(predictions: Mapping[str, Any], tasks: Mapping[str, Task]) -> str:
    """What a person can compare: not what orders a catalogue, nor what the catalogue knows already."""
    found = []
    for name, value in predictions.items():
        task = tasks.get(name)
        if not isinstance(value, float) or (task and (task.ranks_catalogue or task.on == "item")):
            continue
        found.append(f"{name} {value:.2f}")
    return " · ".join(found)


def explain(
    bundle: BundleDir,
    user: Annotated[str, typer.Option(help="Id of the user.")],
    item: Annotated[
        str | None, typer.Option(help="Id of the item; the user's first recommendations when left out.")
    ] = None,
    k: Annotated[
        int, typer.Option("-k", help="Recommendations, where no item is named.", min=1, max=100)
    ] = 3,
    language: Language = "en",
    model: Model = False,
    changes: Settings = None,
    as_json: Json = False,
) -> None:
    """Say why an item is, or is not, for a user: the reason, and everything found that it rests on."""
    settings = language_settings(bundle, model, changes)
    with progress_on_terminal(as_json) as report:
        explainer = motet.load(bundle, language_model=settings, progress=report).explainer
        if item is None:
            best = explainer.recommender.recommend([user], k)
            ids = best[str(explainer.bundle.schema.keys.item)].to_list()
            reasons = explainer.reason(user, ids, language=language)  # type: ignore[arg-type]
        else:
            found = explainer.explain(user, item, language=language)  # type: ignore[arg-type]
    if item is None:
        _print_reasons(explainer, reasons, model, language, as_json)
    elif as_json:
        print_json(asdict(found))
    else:
        out_console.print(escape(found.reason.text))
        _print_writer(found.reason, model, language)
        from rich.table import Table  # noqa: PLC0415

        table = Table(say("cli.evidence", language), say("cli.strength", language), box=None)
        for sentence in explainer.said(found.evidence, language):  # type: ignore[arg-type]
            table.add_row(escape(sentence.text), f"{sentence.claim.strength:.2f}")
        out_console.print(table)
        if found.attribution is not None:
            table = Table(say("cli.part", language), say("cli.moves", language), box=None)
            for name, part in found.attribution.parts:
                if abs(part) >= 0.005:  # as much as two digits show
                    table.add_row(escape(_part_name(name, language)), f"{part:+.2f}")
            out_console.print(table)


def _part_name(name: str, language: str) -> str:
    """A part of a score in words; one that has none, such as a member from outside motet, by its name."""
    with suppress(KeyError):
        return say(f"part.{name}", language)
    return name


def _print_reasons(
    explainer: Explainer, reasons: Sequence[Reason], model: bool, language: str, as_json: bool
) -> None:
    """Why each of some recommendations is shown."""
    if as_json:
        print_json([asdict(reason) for reason in reasons])
        return
    for rank, reason in enumerate(reasons, 1):
        title = explainer.title(reason.item)
        out_console.print(f"{rank}. [bold]{escape(title)}[/bold]  [dim]({escape(reason.item)})[/dim]")
        out_console.print(_indented(reason.text))
    if reasons:
        _print_writer(reasons[0], model, language)


def profile(
    bundle: BundleDir,
    user: Annotated[str, typer.Option(help="Id of the user.")],
    language: Language = "en",
    as_json: Json = False,
) -> None:
    """Say what a user likes and avoids: weights, what they rest on, and how sure."""
    from motet.assistant.explain import Profiler, profile_sentences  # noqa: PLC0415
    from motet.training import load_bundle  # noqa: PLC0415

    found = Profiler.of_bundle(load_bundle(bundle)).profile(user)
    if as_json:
        print_json(found.to_json())
        return
    for line in profile_sentences(found, language):
        out_console.print(escape(line))


def describe(
    bundle: BundleDir,
    item: Annotated[str, typer.Option(help="Id of the item.")],
    language: Language = "en",
    model: Model = False,
    changes: Settings = None,
    as_json: Json = False,
) -> None:
    """Say what an item is, from the catalogue and the knowledge graph alone."""
    settings = language_settings(bundle, model, changes)
    with progress_on_terminal(as_json) as report:
        explainer = motet.load(bundle, language_model=settings, progress=report).explainer
        found = explainer.describe(item, language=language)  # type: ignore[arg-type]
    if as_json:
        print_json(asdict(found))
        return
    text = found.text or say("cli.no_description", language)
    out_console.print(f"[bold]{escape(found.title)}[/bold]\n{escape(text)}")
    _print_writer(found, model, language)


def make_a_list(
    bundle: BundleDir,
    request: Annotated[str, typer.Argument(help="How many, what must and must not be there, budgets.")],
    user: User = "",
    scenario: Annotated[str | None, typer.Option(help="Where it is for.")] = None,
    seconds: Annotated[float, typer.Option(help="Time for the choice.", min=0.1, max=600)] = 3.0,
    model: Model = False,
    changes: Settings = None,
    as_json: Json = False,
) -> None:
    """Put together the best list that keeps every limit of a request, or say which limits cannot be met."""
    settings = language_settings(bundle, model, changes)
    with progress_on_terminal(as_json) as report:
        assistant = motet.load(bundle, language_model=settings, progress=report).assistant
        answer = assistant.make_list(request, user=user, scenario=scenario, time_limit_s=seconds)
    if as_json:
        print_json(answer.model_dump(mode="json", exclude_defaults=True))
        return
    if answer.status == "complete":
        _print_listed(answer)
        out_console.print(escape(answer.words))
    else:
        out_console.print(escape(answer.words))
        if answer.nearest is not None:
            near = say("cli.nearest", answer.language, changes=", ".join(answer.nearest.loosened))
            out_console.print(f"\n{escape(near)}")
            _print_listed(answer.nearest)
    for limit in (answer.nearest or answer).limits:
        kept = say("cli.kept" if limit.holds else "cli.broken", answer.language, limit=limit.words)
        out_console.print(f"[dim]{escape(kept)}[/dim]")


def _print_listed(answer: ListAnswer) -> None:
    for place, item in enumerate(answer.items, 1):
        numbers = ", ".join(f"{name} {value:g}" for name, value in item.numbers.items())
        beside = escape(f"({item.id}) {numbers}".rstrip())
        out_console.print(f"{place}. [bold]{escape(item.name)}[/bold]  [dim]{beside}[/dim]")


def language_settings(bundle: Path, model: bool, changes: Sequence[str] | None) -> LanguageSettings | None:
    """Settings of the language model that was asked for, checked before any work."""
    if not model:
        if changes:
            raise SchemaError("--set changes the language model, which is not used", "add --model")
        return None
    wrong = next((change for change in changes or () if not change.startswith("language.")), None)
    if wrong is not None:
        raise SchemaError(f"'{wrong}' cannot be changed here", "only settings under language. can")
    if not (bundle / "schema.yaml").is_file():
        raise BundleError(
            f"{bundle} is not a bundle: it has no schema.yaml", "name a directory that 'motet train' wrote"
        )
    from motet.schema import Schema  # noqa: PLC0415

    settings = Schema.load(bundle / "schema.yaml", list(changes or ())).language
    if settings.generator == "none":
        raise SchemaError(
            "language.generator is 'none', so there is no language model to use",
            "name one: --set language.generator=SmolLM2-135M-Instruct",
        )
    return settings


def _print_writer(reason: Reason | Description, model: bool, language: str) -> None:
    """Who wrote it, where a language model was to."""
    if not model:
        return
    kept, of = "", len(reason.sentences)
    if reason.fallback:
        kept = say("cli.fallback", language, count=of, n=reason.fallback, of=of)
    writer = say("cli.written_by", language, writer=_maker(reason.written_by, language))
    line = ": ".join(part for part in (writer, reason.note or kept) if part)
    out_console.print(f"[dim]{escape(line)}[/dim]")
