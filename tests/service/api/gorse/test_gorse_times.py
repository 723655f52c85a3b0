from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.errors import RequestError
from motet.service.gorse import read_duration, read_time, write_time

NO_TIME = "0001-01-01T00:00:00Z"  # of Go, and so of Gorse
SECOND = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
DAY = datetime(2020, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-01-02T03:04:05Z", SECOND),
        ("2020-01-02T11:04:05+08:00", SECOND),
        ("2020-01-02 03:04:05", SECOND),
        ("2020-01-02 03:04:05 +0000 UTC", SECOND),
        ("2020-01-01 20:04:05 -0700 MST", SECOND),
        ("2020-01-02T03:04:05.123456789Z", SECOND.replace(microsecond=123456)),
        ("2020/01/02 03:04:05", SECOND),
        ("1577934245", SECOND),
        ("1577934245000", SECOND),
        ("1577934245000000", SECOND),
        ("1577934245000000000", SECOND),
        ("20200102030405", SECOND),
        ("Thu, 02 Jan 2020 03:04:05 GMT", SECOND),
        ("Thu, 02 Jan 2020 04:04:05 +0100", SECOND),
        ("Thu Jan  2 03:04:05 2020", SECOND),
        ("Thu Jan 02 03:04:05 +0000 2020", SECOND),
        ("Thursday, 02-Jan-20 03:04:05 GMT", SECOND),
        ("Jan 2, 2020 3:04:05 AM", SECOND),
        ("January 2nd, 2020, 03:04:05", SECOND),
        ("2 January 2020 03:04:05", SECOND),
        ("1/2/2020 03:04:05 am", SECOND),
        ("2020-01-02", DAY),
        ("20200102", DAY),
        ("1/2/2020", DAY),
        ("2-Jan-2020", DAY),
        ("2020年01月02日", DAY),
        ("2020", DAY.replace(day=1)),
        ("2020-01", DAY.replace(day=1)),
    ],
)
def test_times_in_any_usual_format(text: str, expected: datetime) -> None:
    assert read_time(text) == expected


@pytest.mark.parametrize("text", ["", "  ", NO_TIME])
def test_no_time(text: str) -> None:
    assert read_time(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "13/32/2020",
        "2020-13-01",
        "99999999999999999999",
        "12",
        "13:00",
        "x" * 100_000,
        "9999-01-01",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="Could not find format for"):
        read_time(text)


@given(st.text(max_size=80))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        found = read_time(text)
    except RequestError:
        return
    assert found is None or found.tzinfo is UTC


@given(st.datetimes(datetime(1, 1, 2), datetime(4999, 12, 30), timezones=st.just(UTC)))
def test_what_is_written_is_read(time: datetime) -> None:
    assert read_time(write_time(time)) == time


def test_fractions_end_without_zeros() -> None:
    assert write_time(SECOND.replace(microsecond=120_000)) == "2020-01-02T03:04:05.12Z"
    assert write_time(SECOND) == "2020-01-02T03:04:05Z"
    assert write_time(None) == NO_TIME


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", timedelta(0)),
        ("0", timedelta(0)),
        ("10m", timedelta(minutes=10)),
        ("1h30m0s", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        ("250ms", timedelta(milliseconds=250)),
        ("-5s", timedelta(seconds=-5)),
        ("+5s", timedelta(seconds=5)),
    ],
)
def test_durations_as_go_writes_them(text: str, expected: timedelta) -> None:
    assert read_duration(text) == expected


@pytest.mark.parametrize("text", ["5", "1d", "h", "-", "+", "1h ", "1e3s", "999999999h", "10m" * 100])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="time: invalid duration"):
        read_duration(text)
