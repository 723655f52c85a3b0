"""Text files that cannot be read as they are: file, line, column, value, and a cure that works when it is applied."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import yaml

from motet.data import CleaningReport, Dataset, build_dataset, check_data, inspect_directory
from motet.errors import DataError
from motet.schema import Schema
from motet.testing import hashed_words_for_tests

N = 60
SCHEMA = """
name: films
tables: {interactions: ratings.csv, items: films.csv}
keys: {user: user, item: film, time: at}
features:
  user: {user: id}
  item: {film: id, title: text, price: numeric}
tasks:
  like: {kind: binary, label: stars >= 4}
split: {by: time}
"""
RATINGS = "user,film,at,stars\n" + "".join(f"u{k % 7},f{k % 9},{k},{1 + k * 7 % 5}\n" for k in range(N))
FILMS = ["film,title,price", *(f"f{k},Film {k},{k}.5" for k in range(9))]


def films(line: int, text: str) -> bytes:
    """The table of films with another line (from 1)."""
    return "\n".join([*FILMS[: line - 1], text, *FILMS[line:], ""]).encode("latin-1")


# what is in films.csv; what has to be said of it; whether the cure is a setting
BROKEN: dict[str, tuple[bytes, tuple[str, ...], bool]] = {
    "latin-1": (
        films(4, "f2,Amélie à Paris,1"),
        ("films.csv, line 4, column 'title'", "not UTF-8", "0xe9", "Amélie"),
        True,
    ),
    "latin-1 header": (
        films(1, "film,title,price,durée"),
        ("films.csv, line 1, column 4", "not UTF-8", "durée"),
        True,
    ),
    "UTF-16": (
        "\n".join([*FILMS, ""]).encode("utf-16"),
        ("films.csv, line 1", "not UTF-8", "encoding: utf-16"),
        True,
    ),
    "GB 18030": (
        "\n".join([*FILMS[:3], "f2,霸王别姬,3", *FILMS[4:], ""]).encode("gb18030"),
        ("films.csv, line 4, column 'title'", "霸王别姬", "encoding: gb18030"),
        True,
    ),
    "stray quotes": (
        films(3, 'f1,"Weird Al" Yankovic,2'),
        ("films.csv, line 3, column 'title'", '"Weird Al" Yankovic', "quote: {films.csv: none}"),
        True,
    ),
    "an open quote": (
        films(5, 'f3,"Se7en,2'),
        ("films.csv, line 5, column 'title'", "never closed", "Se7en", "quote: {films.csv: none}"),
        True,
    ),
    "stray quotes beside quoted commas": (
        films(3, 'f1,"Weird Al" Yankovic,2').replace(b"f7,Film 7", b'f7,"Film, the 7th"'),
        ("films.csv, line 3, column 'title'", 'write the value as """Weird Al"" Yankovic"'),
        False,
    ),
    "a surplus field": (
        films(6, "f4,Film 4,4.5,9"),
        ("films.csv, line 6: 4 fields where the header has 3", "f4,Film 4,4.5,9"),
        False,
    ),
    "a column twice": (
        films(1, "film,title,title"),
        ("films.csv, line 1", "2 columns have the name 'title' (2, 3)", "a name of its own"),
        False,
    ),
}


def written(place: Path, content: bytes) -> Path:
    (place / "films.csv").write_bytes(content)
    (place / "ratings.csv").write_text(RATINGS)
    return place


def trained_on(schema: Schema, place: Path, cleaning_report: CleaningReport | None = None) -> Dataset:
    return build_dataset(schema, place, encode_text=hashed_words_for_tests, cleaning_report=cleaning_report)


def settings_in(cure: str) -> dict[str, object]:
    """The settings that a cure prints, between quotes."""
    found = re.search(r"set '(\w+: \{.*?\}+)'", cure)
    assert found, cure
    content: dict[str, object] = yaml.safe_load(found.group(1))
    return content


def applied(text: str, cure: str) -> Schema:
    """A schema as a user would edit it: the printed setting beside those that are there."""
    content = yaml.safe_load(text)
    for section, settings in settings_in(cure).items():
        assert isinstance(settings, dict)
        content[section] = {**content.get(section, {}), **settings}
    return Schema.parse(yaml.safe_load(yaml.safe_dump(content)))


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_located_and_the_cure_works(name: str, tmp_path: Path) -> None:
    content, words, is_setting = BROKEN[name]
    written(tmp_path, content)
    schema = Schema.parse(yaml.safe_load(SCHEMA))
    calls: list[Callable[[Schema], object]] = [
        lambda s: trained_on(s, tmp_path),
        lambda s: check_data(s, tmp_path),
    ]
    for call in calls:
        with pytest.raises(DataError) as caught:
            call(schema)
        for word in words:
            assert word in str(caught.value), str(caught.value)
        if is_setting:
            call(applied(SCHEMA, caught.value.cure))
    cure = caught.value.cure
    if "write the value as" in cure:
        value = cure.partition("write the value as ")[2].removesuffix(" in the file")
        (tmp_path / "films.csv").write_bytes(content.replace(b'"Weird Al" Yankovic', value.encode()))
        data = trained_on(schema, tmp_path)
        assert '"Weird Al" Yankovic' in data.texts["title"]
    if "remove the surplus fields" in cure:
        (tmp_path / "films.csv").write_bytes(content.replace(b"4.5,9", b"4.5"))
        trained_on(schema, tmp_path)
    if "a name of its own" in cure:
        (tmp_path / "films.csv").write_bytes(content.replace(b"title,title", b"title,price"))
        trained_on(schema, tmp_path)


@pytest.mark.parametrize("name", BROKEN)
def test_inspect_proposes_what_reads_the_file_or_says_where_it_is_broken(name: str, tmp_path: Path) -> None:
    content, words, is_setting = BROKEN[name]
    written(tmp_path, content)
    if not is_setting:
        with pytest.raises(DataError) as caught:
            inspect_directory(tmp_path)
        assert all(word in str(caught.value) for word in words), str(caught.value)
        return
    found = inspect_directory(tmp_path)
    assert any("films.csv" in note and "tables." in note for note in found.notes), found.notes
    again = Schema.parse(yaml.safe_load(found.schema.to_yaml()))
    assert again == found.schema
    assert len(trained_on(again, tmp_path)) == N


def test_values_are_what_they_were_before_the_encoding(tmp_path: Path) -> None:
    written(tmp_path, BROKEN["GB 18030"][0])
    schema = Schema.parse(yaml.safe_load(SCHEMA), ["tables.encoding=gb18030"])
    assert "霸王别姬" in trained_on(schema, tmp_path).texts["title"]
    wrong = Schema.parse(yaml.safe_load(SCHEMA), ["tables.encoding=ascii"])
    with pytest.raises(DataError, match=r"films.csv is not ascii") as caught:
        trained_on(wrong, tmp_path)
    trained_on(applied(SCHEMA, caught.value.cure), tmp_path)


def test_quotes_by_table_leave_the_others_as_they_are(tmp_path: Path) -> None:
    written(tmp_path, BROKEN["stray quotes"][0])
    quoted = RATINGS.replace("u1,", '"u,1",')
    (tmp_path / "ratings.csv").write_text(quoted)
    data = trained_on(Schema.parse(yaml.safe_load(SCHEMA), ["tables.quote={films.csv: none}"]), tmp_path)
    assert "u,1" in data.user_ids
    assert '"Weird Al" Yankovic' in data.texts["title"]


def test_a_number_that_goes_wrong_late_has_its_line_and_the_cure_works(tmp_path: Path) -> None:
    written(tmp_path, films(9, FILMS[8]))
    lines = [f"u{k % 7},f{k % 9},{k},{1 + k * 7 % 5}" for k in range(10_500)]
    lines[10_400] = "u1,f1,10400,many"
    (tmp_path / "ratings.csv").write_text("user,film,at,stars\n" + "\n".join(lines) + "\n")
    for call in (lambda s: trained_on(s, tmp_path), lambda s: check_data(s, tmp_path)):
        with pytest.raises(
            DataError, match=r"ratings.csv, line 10402, column 'stars': the value 'many'"
        ) as caught:
            call(Schema.parse(yaml.safe_load(SCHEMA)))
        call(applied(SCHEMA, caught.value.cure))
    found = inspect_directory(tmp_path)
    assert "stars" in found.schema.tasks
    assert any("'many'" in note and "clean.unparseable" in note for note in found.notes), found.notes
    assert len(trained_on(found.schema, tmp_path)) == 10_500


@pytest.mark.parametrize("written_null", ["null", "'null'", "~", ""])
def test_unparseable_null_is_a_setting_however_it_is_written(written_null: str, tmp_path: Path) -> None:
    place = tmp_path / "schema.yaml"
    place.write_text(SCHEMA + f"clean: {{unparseable: {written_null}}}\n")
    schema = Schema.load(place)
    assert schema.clean.unparseable == "null"
    assert Schema.load(place, ["clean.unparseable=null"]) == schema
    place.write_text(schema.to_yaml())
    assert Schema.load(place) == schema


@pytest.mark.parametrize("word", ["NaN", "nan", "null", "NULL", "None", " ", "\\N", "<NA>"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_means_no_value_is_no_user(word: str, suffix: str, tmp_path: Path) -> None:
    written(tmp_path, "\n".join(FILMS).encode())
    frame = pl.read_csv(RATINGS.encode()).with_columns(
        user=pl.when(pl.arange(pl.len()) % 10 == 0).then(pl.lit(word)).otherwise("user"),
        film=pl.when(pl.arange(pl.len()) == 1).then(pl.lit(word)).otherwise("film"),
    )
    if suffix == "csv":
        frame.write_csv(tmp_path / "ratings.csv")
    else:
        frame.write_parquet(tmp_path / "ratings.parquet")
    cleaning_report = CleaningReport()
    data = trained_on(
        Schema.parse(yaml.safe_load(SCHEMA), [f"tables.interactions=ratings.{suffix}"]),
        tmp_path,
        cleaning_report,
    )
    assert sorted(data.user_ids) == [f"u{k}" for k in range(7)]
    assert sorted(data.item_ids) == [f"f{k}" for k in range(9)]
    assert len(data) == N - 7
    notes = [str(finding) for finding in cleaning_report]
    assert f"ratings.{suffix}.user: {word!r} in place of an id in 6 rows: taken as missing" in notes
    assert f"ratings.{suffix}.user: no key in 6 rows: row left out" in notes


def test_numbers_that_are_none_are_no_user(tmp_path: Path) -> None:
    written(tmp_path, "\n".join(FILMS).encode())
    user = [float("nan") if k % 10 == 0 else float(k % 7) for k in range(N)]
    frame = pl.read_csv(RATINGS.encode()).with_columns(user=pl.Series(user))
    frame.write_parquet(tmp_path / "ratings.parquet")
    frame.write_csv(tmp_path / "ratings.csv")
    for suffix in ("csv", "parquet"):
        schema = Schema.parse(yaml.safe_load(SCHEMA), [f"tables.interactions=ratings.{suffix}"])
        assert sorted(trained_on(schema, tmp_path).user_ids) == [str(k) for k in range(7)]
