"""Label and filter expressions: SQL, parsed by the data engine, never by ``eval``."""

from __future__ import annotations

import polars as pl

from motet.errors import SchemaError

__all__ = ["check_expression", "expression_columns", "parse_expression"]


def parse_expression(text: str, where: str) -> pl.Expr:
    """Parse one SQL expression over the columns of a table.

    Args:
        text: The expression, such as ``rating >= 4``.
        where: The field it comes from, for the error.

    Raises:
        SchemaError: If it does not parse.

    Example:
        >>> parse_expression("rating >= 4", "tasks.like.label").meta.root_names()
        ['rating']
    """
    try:
        return pl.sql_expr(text)
    except Exception as error:  # polars raises several kinds for one mistake: all mean "not SQL"
        reason = str(error).splitlines()[0]
        raise SchemaError(
            f"{where}: the expression {text!r} does not parse ({reason})",
            'write an SQL expression over the table\'s columns, such as "rating >= 4"; '
            "put names with spaces or dots in double quotes",
        ) from None


def check_expression(text: str, where: str) -> str:
    """Return the text unchanged if it parses; raise ValueError for Pydantic if not."""
    try:
        parse_expression(text, where)
    except SchemaError as error:
        raise ValueError(str(error)) from None
    return text


def expression_columns(text: str, where: str = "expression") -> list[str]:
    """List the columns an expression reads, sorted."""
    return sorted(set(parse_expression(text, where).meta.root_names()))
