"""The cleaning report, and the preparation of tables: what was found, in how many rows, and what was done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from motet.data._containers import as_strings
from motet.errors import DataError
from motet.schema import Cells, Entity, Schema, expression_columns, nearest, parse_expression, table_of

__all__ = [
    "CleaningReport",
    "Finding",
    "Preparer",
    "looks_like_time",
    "quoted_text",
    "text_columns",
    "used_columns",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of flaw in one column.

    Attributes:
        table: File or table it was found in.
        column: Column, or "" for the row as a whole.
        found: What was found, with an example where that helps.
        action: What was done.
        rows: In how many rows.
    """

    table: str
    column: str
    found: str
    action: str
    rows: int

    def __str__(self) -> str:
        place = f"{self.table}.{self.column}" if self.column else self.table
        return f"{place}: {self.found} in {self.rows:,} rows: {self.action}"


class CleaningReport:
    """Collects findings; the same flaw found in several chunks is one finding.

    Example:
        >>> report = CleaningReport()
        >>> report.note("ratings", "rating", "outside 1 to 5", "taken as missing", 2)
        >>> report.note("ratings", "rating", "outside 1 to 5", "taken as missing", 1)
        >>> [str(finding) for finding in report]
        ['ratings.rating: outside 1 to 5 in 3 rows: taken as missing']
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, str, str], int] = {}
        self._closed = False

    def note(self, table: str, column: str, found: str, action: str, rows: int) -> None:
        """Add a finding; nothing is noted for no rows, or after :meth:`close`."""
        if rows and not self._closed:
            key = (table, column, found, action)
            self._rows[key] = self._rows.get(key, 0) + int(rows)

    def close(self) -> None:
        """Stop noting: later passes read the same rows again."""
        self._closed = True

    def __iter__(self) -> Iterator[Finding]:
        for (table, column, found, action), rows in self._rows.items():
            yield Finding(table, column, found, action, rows)

    def __len__(self) -> int:
        return len(self._rows)


# From a table as it is to a table as the schema means it: times, numbers, derived columns, keys.

_NO_VALUE = (
    "",
    "NaN",
    "nan",
    "NAN",
    "null",
    "NULL",
    "Null",
    "None",
    "<NA>",
    "NaT",
    "#N/A",
    "\\N",
)  # what pandas, databases and spreadsheets write


def used_columns(schema: Schema, entity: Entity) -> list[str]:
    """Columns of the file that the schema uses for one entity, derived columns resolved."""
    derived = schema.derive.get(table_of(entity), {})
    wanted: list[str] = []
    if entity == "interaction":
        wanted += [key for key in (schema.keys.user, schema.keys.item, schema.keys.time) if key]
        wanted += [key for key in (schema.keys.scenario, schema.split.column) if key]
        wanted += [
            column
            for _, _, feature in schema.features.all()
            if feature.history is not None and feature.history.where is not None
            for column in expression_columns(feature.history.where)
        ]
    else:
        wanted += [key for key in (getattr(schema.keys, entity),) if key]
        wanted += [
            field.partition(".")[2]
            for feature in schema.features.interaction.values()
            for field in feature.side_fields
            if field.startswith(f"{entity}.")
        ]
    if entity == "item":
        named = schema.catalogue
        wanted += [c for c in (named.title, *named.columns, named.image, named.price) if c]
    wanted += [c for name in schema.features.of(entity) for c in schema.feature_columns(entity, name)]
    wanted += [
        c for task in schema.tasks.values() if task.on == entity for c in expression_columns(task.label)
    ]
    needed = dict.fromkeys([*wanted, *derived])
    # backwards, because a derived column may refine a column of the file that has the same name
    for name, expression in reversed(derived.items()):
        needed.pop(name, None)
        needed |= dict.fromkeys(expression_columns(expression))
    return list(needed)


def text_columns(schema: Schema, entity: Entity) -> list[str]:
    """Columns of text, in which 007 is not 7, unless an expression counts with them."""
    columns = [
        column
        for name, feature in schema.features.of(entity).items()
        if feature.cells == "words"
        for column in schema.feature_columns(entity, name)
    ]
    if entity == "interaction" and schema.keys.scenario:
        columns.append(schema.keys.scenario)
    counted = _counted_columns(schema, entity)
    return [column for column in dict.fromkeys(columns) if column not in counted]


def cell_columns(schema: Schema, entity: Entity, cells: Cells) -> list[str]:
    """Columns of an entity's features that are read as one sort of cells."""
    return [
        column
        for name, feature in schema.features.of(entity).items()
        if feature.cells == cells
        for column in feature.columns(name)
    ]


class Preparer:
    """Prepares chunks of the tables of one schema, and reports what it changed.

    Args:
        schema: The schema.
        cleaning_report: Takes note of what was changed.
        lenient: Rows to predict for may lack columns: what is derived from columns that hold
            nothing is missing too.
    """

    def __init__(self, schema: Schema, cleaning_report: CleaningReport, *, lenient: bool = False) -> None:
        self.schema = schema
        self.cleaning_report = cleaning_report
        self.lenient = lenient
        self._numeric: dict[Entity, list[str]] = {}

    def prepare(self, frame: pl.DataFrame, entity: Entity, source: str) -> pl.DataFrame:
        """Prepare one chunk.

        Args:
            frame: Rows as read.
            entity: What they are.
            source: File name, for errors and the cleaning report.

        Raises:
            DataError: If a cell is not what its column should hold, or an expression fails.
        """
        frame = self._times(frame, entity, source)
        frame = self._numbers(frame, entity, source)
        frame = self._derived(frame, entity, source)
        frame = self._times(frame, entity, source)
        frame = self._ranges(frame, entity, source)
        return self._keys(frame, entity, source)

    def _times(self, frame: pl.DataFrame, entity: Entity, source: str) -> pl.DataFrame:
        columns = cell_columns(self.schema, entity, "time")
        if entity == "interaction" and self.schema.keys.time:
            columns.append(self.schema.keys.time)
        for column in dict.fromkeys(columns):
            if column in frame.columns and frame[column].dtype != pl.Datetime("us"):
                frame = frame.with_columns(self._time(frame[column], source))
        return frame

    def _time(self, column: pl.Series, source: str) -> pl.Series:
        name = column.name
        if column.null_count() == len(column):
            return pl.Series(name, [None] * len(column), dtype=pl.Datetime("us"))
        if column.dtype == pl.Date or isinstance(column.dtype, pl.Datetime):
            if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone:
                column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
            return column.cast(pl.Datetime("us"))
        if column.dtype == pl.String:
            number = column.str.strip_chars().cast(pl.Float64, strict=False)
            if number.is_not_null().sum() < column.is_not_null().sum() / 2:
                return self._parsed(column, _parse_times(column), source, "a time")
            column = self._parsed(column, number, source, "a time")
        if not column.dtype.is_numeric():
            raise DataError(
                f"{source}, column '{name}': {column.dtype} is not a time", "give ISO text or epoch numbers"
            )
        if column.dtype.is_float():
            column = column.fill_nan(None)
        largest = column.cast(pl.Float64).abs().max()
        if largest is not None and largest >= 1e17:  # type: ignore[operator]
            return (column.cast(pl.Int64) // 1_000).cast(pl.Datetime("us")).alias(name)  # nanoseconds
        unit = 1_000_000 if largest is None or largest < 1e11 else 1_000 if largest < 1e14 else 1  # type: ignore[operator]
        if column.dtype.is_float():
            return (column * unit).round().cast(pl.Int64).cast(pl.Datetime("us")).alias(name)
        return (column.cast(pl.Int64) * unit).cast(pl.Datetime("us")).alias(name)

    def _numbers(self, frame: pl.DataFrame, entity: Entity, source: str) -> pl.DataFrame:
        if entity not in self._numeric:
            self._numeric[entity] = [
                column
                for column in self._arithmetic_columns(entity)
                if column in frame.columns and _mostly_numeric(frame[column])
            ]
        for column in self._numeric[entity]:
            cells = frame[column]
            if cells.dtype == pl.String:
                numbers = cells.str.strip_chars().cast(pl.Float64, strict=False)
                frame = frame.with_columns(self._parsed(cells, numbers, source, "a number"))
        for column in cell_columns(self.schema, entity, "number"):
            if column in frame.columns and frame[column].dtype == pl.Boolean:
                frame = frame.with_columns(pl.col(column).cast(pl.Int8))
        return frame

    def _arithmetic_columns(self, entity: Entity) -> Sequence[str]:
        """Columns that numbers are expected in: numeric features, and whatever expressions compare."""
        schema = self.schema
        columns = cell_columns(schema, entity, "number")
        columns += _counted_columns(schema, entity)
        keys = schema.keys
        return [c for c in dict.fromkeys(columns) if c not in (keys.user, keys.item, keys.time)]

    def _parsed(self, cells: pl.Series, parsed: pl.Series, source: str, kind: str) -> pl.Series:
        wrong = parsed.is_null() & cells.is_not_null()
        if wrong.any():
            example, row = cells.filter(wrong)[0], int(wrong.arg_true()[0])
            if self.schema.clean.unparseable == "error":
                raise DataError(
                    f"{source}, column '{cells.name}', data row {row + 1}: the value {str(example)[:80]!r} "
                    f"is not {kind} ({int(wrong.sum()):,} such cells)",
                    "fix the cells, or set 'clean: {unparseable: null}' to take them as missing",
                )
            self.cleaning_report.note(source, cells.name, f"not {kind}", "taken as missing", int(wrong.sum()))
        return parsed.alias(cells.name)

    def _derived(self, frame: pl.DataFrame, entity: Entity, source: str) -> pl.DataFrame:
        for name, text in self.schema.derive.get(table_of(entity), {}).items():
            sources = [c for c in expression_columns(text) if c in frame.columns]
            if self.lenient and any(frame[c].null_count() == len(frame) for c in sources):
                if name not in frame.columns or frame[name].null_count() == len(frame):
                    frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias(name))
                continue
            where = f"derive.{table_of(entity)}.{name}"
            frame = frame.with_columns(evaluate(frame, text, source, where).alias(name))
        return frame

    def _ranges(self, frame: pl.DataFrame, entity: Entity, source: str) -> pl.DataFrame:
        numbers = [
            (name, feature, column)
            for name, feature in self.schema.features.of(entity).items()
            if feature.cells == "number"
            for column in feature.columns(name)
        ]
        for name, feature, column in numbers:
            if column not in frame.columns:
                continue
            if frame[column].null_count() == len(frame):
                frame = frame.with_columns(pl.col(column).cast(pl.Float64))
            if not frame[column].dtype.is_numeric():
                example = frame[column].drop_nulls().head(1).to_list()
                raise DataError(
                    f"{source}, column '{column}': the values are not numbers (such as {str(example)[:60]})",
                    f"make features.{entity}.{name} categorical, or fix the column",
                )
            values = frame[column].cast(pl.Float64)
            infinite = values.is_infinite() | values.is_nan()
            self.cleaning_report.note(
                source, column, "not finite", "taken as missing", int(infinite.sum() or 0)
            )
            frame = frame.with_columns(pl.when(~infinite).then(values).alias(column))
            valid = feature.valid_range(column)
            if valid is not None:
                low, high = valid
                inside = frame[column].is_between(low, high)
                self.cleaning_report.note(
                    source,
                    column,
                    f"outside {low:g} to {high:g}",
                    "taken as missing",
                    int((~inside).sum() or 0),
                )
                frame = frame.with_columns(pl.when(inside).then(pl.col(column)).alias(column))
        return frame

    def _keys(self, frame: pl.DataFrame, entity: Entity, source: str) -> pl.DataFrame:
        keys = self.schema.keys
        names = [keys.user, keys.item] if entity == "interaction" else [getattr(keys, entity)]
        for name in names:
            if name is not None and name in frame.columns:
                frame = frame.with_columns(as_strings(frame[name]))
        if entity == "interaction":
            names += [keys.time]
            if keys.scenario and keys.scenario in frame.columns:
                frame = frame.with_columns(as_strings(frame[keys.scenario]))
        if not self.lenient:
            ids = [f.column or n for n, f in self.schema.features.of(entity).items() if f.is_id]
            for name in dict.fromkeys([*names, *ids]):
                if name is not None and name in frame.columns and frame[name].dtype == pl.String:
                    frame = frame.with_columns(self._without_placeholders(frame[name], source))
        for name in names if not self.lenient else []:
            if name is not None and name in frame.columns:
                missing = frame[name].null_count()
                self.cleaning_report.note(source, name, "no key", "row left out", missing)
                if missing:
                    frame = frame.filter(pl.col(name).is_not_null())
        return frame

    def _without_placeholders(self, cells: pl.Series, source: str) -> pl.Series:
        """Ids without what other programs write for "no value": it would be one very busy user."""
        wrong = cells.str.strip_chars().is_in(_NO_VALUE).fill_null(False)
        if not wrong.any():
            return cells
        counts = cells.filter(wrong).value_counts(sort=True)
        for word, rows in counts.iter_rows():
            self.cleaning_report.note(
                source, cells.name, f"{word!r} in place of an id", "taken as missing", rows
            )
        return cells.to_frame().select(pl.when(~wrong).then(pl.col(cells.name))).to_series()


def _counted_columns(schema: Schema, entity: Entity) -> list[str]:
    """Columns that labels, filters and derived columns compare or count with."""
    expressions = list(schema.derive.get(table_of(entity), {}).values())
    for task in schema.tasks.values():
        if task.on == entity and not (
            task.has_classes and expression_columns(task.label) == [task.label.strip('"')]
        ):
            expressions.append(task.label)
    if entity == "interaction":
        expressions += [
            f.history.where
            for f in schema.features.user.values()
            if f.history is not None and f.history.where is not None
        ]
    return [column for expression in expressions for column in expression_columns(expression)]


def evaluate(frame: pl.DataFrame, text: str, source: str, where: str) -> pl.Series:
    """Evaluate an SQL expression on a table.

    Raises:
        DataError: If it names a column that is not there, or does not fit the columns' types.
    """
    for column in expression_columns(text, where):
        if column not in frame.columns:
            raise DataError(
                f"{source} has no column '{column}' ({where}: {text})", nearest(column, frame.columns)
            )
    try:
        result = frame.select(parse_expression(text, where).alias("result")).to_series()
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        kinds = ", ".join(f"{c} is {frame[c].dtype}" for c in expression_columns(text, where))
        raise DataError(
            f"{source}: {where}: the expression {text!r} fails ({reason}; {kinds})",
            "compare numbers with numbers and text with text in single quotes",
        ) from None
    return (
        result
        if len(result) == len(frame)
        else pl.Series("result", [result[0]] * len(frame), dtype=result.dtype)
    )


def quoted_text(value: object) -> str:
    """A cell as text in an SQL expression, to be shown in a message."""
    return "'" + str(value)[:60].replace("'", "''") + "'"


def _mostly_numeric(column: pl.Series) -> bool:
    if column.dtype != pl.String:
        return False
    filled = column.drop_nulls()
    numbers = filled.str.strip_chars().cast(pl.Float64, strict=False)
    return len(filled) > 0 and numbers.null_count() < len(filled) / 2


def _parse_times(column: pl.Series) -> pl.Series:
    text = column.str.strip_chars()
    plain = text.str.replace(r"(Z|[+-]\d\d:?\d\d)$", "").str.replace("T", " ", literal=True)
    zone = text.str.extract_groups(r"([+-])(\d\d):?(\d\d)$").struct.unnest()
    zone.columns = ["sign", "hours", "minutes"]
    parsed: pl.Series | None = None
    for pattern in ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d"):
        attempt = plain.str.to_datetime(pattern, strict=False, time_unit="us")
        parsed = attempt if parsed is None else parsed.fill_null(attempt)
    assert parsed is not None  # noqa: S101 (the loop runs)
    zoned = text.str.contains(r"\d\d:\d\d.*[+-]\d\d:?\d\d$")
    frame = zone.with_columns(parsed=parsed, zoned=zoned)
    ahead = pl.col("hours").cast(pl.Int64) * 60 + pl.col("minutes").cast(pl.Int64)
    ahead = pl.when(pl.col("sign") == "-").then(-ahead).otherwise(ahead)
    shifted = pl.col("parsed") - pl.duration(minutes=ahead)
    utc = frame.select(pl.when(pl.col("zoned")).then(shifted).otherwise(pl.col("parsed")))
    return utc.to_series().alias(column.name)


def looks_like_time(column: pl.Series, *, named: bool) -> bool:
    """Whether a column holds times: a date-time, ISO text, or epoch numbers in a column named so.

    Example:
        >>> looks_like_time(pl.Series(["2024-05-01", "2024-05-02T10:00:00Z"]), named=False)
        True
        >>> looks_like_time(pl.Series([881250949]), named=False)
        False
    """
    if column.dtype.is_temporal():
        return True
    filled = column.drop_nulls().head(1000)
    if not len(filled):
        return False
    if column.dtype == pl.String:
        return bool(_parse_times(filled).null_count() == 0)
    if not named or not column.dtype.is_numeric():
        return False
    # from 1990 on, in seconds or finer
    return bool((filled >= 631_152_000).all())
