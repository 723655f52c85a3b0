"""Addresses and messages of streams."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from motet.cli import main
from motet.errors import StreamError
from motet.service.store import Store
from motet.service.streams import StreamAddress, ingest_stream


def test_an_address_is_read() -> None:
    found = StreamAddress.parse(
        "rediss://ann:a%40b@cache:7000/shop%2Fclicks?db=3&group=g&consumer=c&maxlen=9"
    )
    assert (found.user, found.password, found.database, found.is_encrypted) == ("ann", "a@b", 3, True)
    assert (found.name, found.group, found.consumer, found.most_entries) == ("shop/clicks", "g", "c", 9)
    assert found.hosts == (("cache", 7000),)
    assert "a@b" not in repr(found)
    assert StreamAddress.parse("kafka://[::1]:9,k2/t?start=latest").hosts == (("::1", 9), ("k2", 9092))
    assert StreamAddress.parse("file:///var/log/a?b").name == "/var/log/a?b"
    assert StreamAddress.parse("file:a").where == f"file:{Path('a').absolute()}"
    assert StreamAddress.parse("redis://h/s?db=2").beside(".dead").database == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no known kind"),
        ("mqtt://host/topic", "no known kind"),
        ("clicks.jsonl", "no known kind"),
        ("redis:host/stream", "no known kind"),
        ("redis://host", "names no stream"),
        ("kafka://host/", "names no topic"),
        ("redis:///stream", "no host"),
        ("redis://host:x/stream", "no host"),
        ("redis://a,b/stream", "several servers"),
        ("redis://host/stream?gruop=a", "group"),
        ("redis://host/stream?group=", "group"),
        ("redis://host/stream?db=-1", "db=-1"),
        ("redis://host/stream?maxlen=0", "maxlen=0"),
        ("redis://host/stream?start=middle", "start"),
        ("kafka://host/topic?db=1", "option"),
        ("kafka://user:secret@host/topic", "--kafka-config"),
        ("redis://[::1/stream", "cannot be read"),
        ("file:", "names no file"),
    ],
)
def test_a_wrong_address_is_said(text: str, problem: str) -> None:
    with pytest.raises(StreamError) as raised:
        StreamAddress.parse(text)
    assert problem in str(raised.value)
    assert raised.value.cure
    assert "secret" not in str(raised.value)


def test_mistakes_of_a_command_have_no_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "store.sqlite"
    Store(place).close()
    assert main(["stream", "in", "--store", str(place), "--from", "redsi://host/s"]) == 2
    assert "no known kind" in capsys.readouterr().err
    assert main(["stream", "in", "--store", str(tmp_path / "other"), "--from", "file:x"]) == 2
    assert "is not there" in capsys.readouterr().err
    arguments = ["stream", "out", "--store", str(place), "--to", "file:x", "--what", "recommendations"]
    assert main([*arguments, "--after", "3"]) == 2
    assert "--after" in capsys.readouterr().err


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Path]]:
    folder = tmp_path_factory.mktemp("any")
    with Store(folder / "store.sqlite") as store:
        yield store, folder


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_FIELDS = st.sampled_from(
    ["type", "user", "item", "value", "time", "id", "context", "propensity", "seq", "x"]
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    lines=st.lists(
        st.binary(max_size=40)
        | st.dictionaries(_FIELDS, _JSON | st.just("a"), max_size=8).map(
            lambda row: json.dumps(row).encode()
        ),
        max_size=6,
    )
)
def test_nothing_that_is_sent_stops_a_stream(shared: tuple[Store, Path], lines: list[bytes]) -> None:
    store, folder = shared
    path = folder / "any.jsonl"
    whole = [line for one in lines for line in one.split(b"\n") if line.strip()]
    with path.open("ab") as file:
        file.write(b"".join(line + b"\n" for line in whole))
    counts = ingest_stream(store, StreamAddress.parse(f"file:{path}"), once=True)
    assert counts.events + counts.repeated + counts.dead == len(whole)


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 60_000,
        b'{"context": ' * 5_000,
        b"9" * 60_000,
        b'{"type": "a", "user": "u", "item": "i", "value": 1e999}',
        b'{"type": "a", "user": "u", "item": "i", "value": NaN}',
        b'{"type": "a", "user": "u\\u0000", "item": "i"}',
        b'{"type": "a", "user": "\\ud800", "item": "i"}',
        b'{"type": "a", "user": "u", "item": "i", "time": "yesterday"}',
        b'{"type": "a", "user": "u", "item": "i", "time": 1e300}',
        b'{"type": "a", "user": "u", "item": "i", "propensity": 2}',
        b'{"type": "a", "user": "u", "item": "i", "context": {"a": [1]}}',
        b'{"type": "a", "user": "u", "item": "i", "unknown": 1}',
        b"\xff\xfe",
    ],
)
def test_a_hostile_message_is_a_dead_letter(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(content + b"\n")
    with Store(tmp_path / "store.sqlite") as store:
        assert ingest_stream(store, StreamAddress.parse(f"file:{path}"), once=True).dead == 1
    (letter,) = map(json.loads, path.with_name("in.jsonl.dead").read_text().splitlines())
    assert letter["reason"]
    assert letter["cure"]


def test_the_message_of_the_guide_is_an_event(tmp_path: Path) -> None:
    guide = Path(__file__).parents[3] / "docs" / "guide" / "streams.md"
    message, shown = [part.partition("```")[0] for part in guide.read_text().split("```json\n")[1:]]
    path = tmp_path / "in.jsonl"
    path.write_text(message + shown)
    with Store(tmp_path / "store.sqlite") as store:
        counts = ingest_stream(store, StreamAddress.parse(f"file:{path}"), once=True)
        assert (counts.events, counts.dead) == (1, 1)  # a list is no event
        event = store.events.after(0)[0]
        assert (event.id, event.context, event.scenario) == ("a7f3", {"device": "phone"}, "home")
