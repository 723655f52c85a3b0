"""The catalogues of messages: complete, used, and the same in every language."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po
from jinja2 import Environment, nodes

import motet
from motet import schema
from motet.messages import LANGUAGES, say

PACKAGE = Path(motet.__file__).parent
CHINESE = re.compile("[\u4e00-\u9fff]")
SAME_IN_BOTH = {"auc", "range"}
PAGES = PACKAGE / "service" / "web"
SPEAKING = (*sorted(PAGES.glob("*.py")), PACKAGE / "cli" / "_words.py")


def place_of(language: str) -> Path:
    return PACKAGE / "locale" / language / "LC_MESSAGES" / "motet.po"


def catalogue_of(language: str) -> Catalog:
    with place_of(language).open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


CATALOGUES = {language: catalogue_of(language) for language in LANGUAGES}


def key_of(message: Message) -> str:
    return message.id if isinstance(message.id, str) else str(message.id[0])


def forms_of(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string or ())


def messages_of(language: str) -> dict[str, tuple[str, ...]]:
    return {key_of(message): forms_of(message) for message in CATALOGUES[language] if message.id}


ENGLISH = messages_of("en")


def test_every_language_has_a_catalogue_and_no_other() -> None:
    assert sorted(path.name for path in (PACKAGE / "locale").iterdir()) == sorted(LANGUAGES)
    assert schema.LANGUAGES == LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_message_is_missing(language: str) -> None:
    found = CATALOGUES[language]
    assert messages_of(language).keys() == ENGLISH.keys()
    assert len(ENGLISH) > 200
    assert not found.obsolete
    for message in found:
        if not message.id:
            continue
        assert not message.fuzzy, key_of(message)
        assert all(forms_of(message)), key_of(message)
        is_counted = not isinstance(message.id, str)
        assert len(forms_of(message)) == (found.num_plurals if is_counted else 1), key_of(message)


def placeholders(words: str) -> set[str]:
    parts = list(string.Formatter().parse(words))
    assert all(not part[2] and part[3] is None for part in parts if part[1] is not None), words
    return {part[1] for part in parts if part[1] is not None}


@pytest.mark.parametrize("key", ENGLISH)
def test_every_language_says_the_same_things(key: str) -> None:
    found = {language: messages_of(language)[key] for language in LANGUAGES}
    assert len({frozenset(placeholders(words)) for forms in found.values() for words in forms}) == 1
    if key not in SAME_IN_BOTH and key != "other_language":
        assert all(CHINESE.search(words) for words in found["zh"])
        assert not any(CHINESE.search(words) for words in found["en"])


def keys_in_call(arguments: list[ast.expr]) -> Iterator[str]:
    """Keys that a call names outright, also either of two."""
    first = arguments[0] if arguments else None
    choices = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
    for one in choices:
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value


def read_python(path: Path) -> tuple[set[str], set[str], set[str]]:
    """Keys of messages, kinds of names, and every text of a file."""
    keys: set[str] = set()
    kinds: set[str] = set()
    texts: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.add(node.value)
        if isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if called in ("say", "t"):
                keys |= set(keys_in_call(node.args))
            if called == "name_of":
                kinds |= set(keys_in_call(node.args))
    return keys, kinds, texts


def read_template(path: Path) -> tuple[set[str], set[str], set[str]]:
    """The same of a template."""
    keys: set[str] = set()
    kinds: set[str] = set()
    tree = Environment(autoescape=True).parse(path.read_text(encoding="utf-8"))
    for call in tree.find_all(nodes.Call):
        name = call.node.name if isinstance(call.node, nodes.Name) else ""
        if name not in ("t", "name_of") or not call.args:
            continue
        first = call.args[0]
        choices = [first.expr1, first.expr2] if isinstance(first, nodes.CondExpr) else [first]
        found = {one.value for one in choices if isinstance(one, nodes.Const)}
        (keys if name == "t" else kinds).update(found)
    texts = {const.value for const in tree.find_all(nodes.Const) if isinstance(const.value, str)}
    return keys, kinds, texts


def read_all() -> tuple[set[str], set[str], set[str]]:
    read = [read_python(path) for path in SPEAKING]
    read += [read_template(path) for path in sorted((PAGES / "templates").glob("*.html"))]
    keys, kinds, texts = zip(*read, strict=True)
    return set().union(*keys), set().union(*kinds), set().union(*texts)


def test_every_key_in_the_code_is_a_message() -> None:
    keys, _, _ = read_all()
    assert len(keys) > 150
    assert keys - ENGLISH.keys() == set()


def test_no_message_is_unused() -> None:
    keys, kinds, texts = read_all()
    assert {"task", "field", "source", "served", "check"} <= kinds
    assert {key for key in ENGLISH if key not in keys | texts and key.partition(".")[0] not in kinds} == set()


def test_a_count_chooses_between_singular_and_plural() -> None:
    assert [say("ratings_n", "en", count=n, n=n) for n in (0, 1, 2)] == ["0 ratings", "1 rating", "2 ratings"]
    assert [say("ratings_n", "zh", count=n, n=n) for n in (1, 2)] == ["1 次评分", "2 次评分"]


def test_braces_in_a_value_are_left_alone() -> None:
    assert say("user_n", "en", id="{id}{0.__class__}%(id)s") == "User {id}{0.__class__}%(id)s"


def test_an_unknown_key_is_refused() -> None:
    for language in LANGUAGES:
        with pytest.raises(KeyError, match="no such message"):
            say("no such message", language)
        with pytest.raises(KeyError, match="no such message"):
            say("no such message", language, count=2)


def test_what_a_language_lacks_is_said_in_english(tmp_path: Path) -> None:
    """A copy of the package's file beside a Chinese catalogue that is half done."""
    shutil.copytree(PACKAGE / "locale", tmp_path / "locale")
    shutil.copy(PACKAGE / "messages.py", tmp_path)
    found = catalogue_of("zh")
    found.delete("skip")
    found["shop"].flags.add("fuzzy")
    with (tmp_path / "locale" / "zh" / "LC_MESSAGES" / "motet.po").open("wb") as file:
        write_po(file, found)
    spec = importlib.util.spec_from_file_location("half_done", tmp_path / "messages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert [module.say(key, "zh") for key in ("skip", "shop", "nav")] == ["Skip to content", "Shop", "页面"]
