"""What is wrong in a schema file, in words: the field, and the nearest right name."""

from __future__ import annotations

from pydantic import ValidationError

from motet.errors import SchemaError
from motet.schema._base import Part, nearest
from motet.schema._registry import FEATURE_KINDS, TASK_KINDS

__all__ = ["mistake"]


def mistake(error: ValidationError, source: str) -> SchemaError:
    """The error of a schema that did not validate.

    Args:
        error: What pydantic found; the most telling of its findings is told.
        source: The file, or whatever else it came from.
    """
    found = error.errors(include_url=False)
    # a misspelt name says more than the name that is missing because of it
    first = next((e for e in found if e["type"] == "extra_forbidden"), found[0])
    place = ".".join(str(step) for step in first["loc"])
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        name = str(first["loc"][-1])
        return SchemaError(f"{source}: '{place}' is not an option{more}", nearest(name, _option_names()))
    if first["type"] == "union_tag_invalid":
        context = first["ctx"]
        kinds = [kind.strip("' ") for kind in str(context["expected_tags"]).split(",")]
        return SchemaError(
            f"{source}: {place}: the kind '{context['tag']}' is not known{more}",
            nearest(context["tag"], kinds),
        )
    if first["type"] == "missing":
        return SchemaError(f"{source}: '{place}' is missing{more}", "add it")
    problem, _, cure = message.partition(". Cure: ")
    if first["type"] != "value_error":
        problem = f"{problem}, but is {str(first['input'])[:80]!r}"
    where = f"{source}: {place}: " if place else f"{source}: "
    return SchemaError(f"{where}{problem}{more}", cure or "fix the value")


def _option_names() -> set[str]:
    names = {name for kinds in (FEATURE_KINDS, TASK_KINDS) for k in kinds for name in kinds[k].model_fields}
    parts: list[type[Part]] = [Part]
    while parts:
        part = parts.pop()
        names.update(part.model_fields)
        parts.extend(part.__subclasses__())
    return names
