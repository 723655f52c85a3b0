"""What a list and its limits say, in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["column_limit", "joined", "number", "said"]

_WORDS: Mapping[str, tuple[str, str]] = {
    "duplicates": ("nothing twice", "不重复"),
    "alike": ("no two items more alike than {high}", "任意两项的相似度不超过{high}"),
    "unseen": ("nothing that you have had", "不含您已有过的"),
    "count": ("{high} items", "共{high}项"),
    "count_up_to": ("1 to {high} items", "1至{high}项"),
    "range": ("{name} {range}", "{name}{range}"),
    "total": ("total {name} {range}", "{name}总和{range}"),
    "quota": ("{range} × {name}", "{name}：{range}项"),
    "parts": ("each part with items of its own", "各部分的项目互不相同"),
    "each": ("of each {name} {range}", "每种{name}{range}项"),
    "no_column": ("the limit on '{column}', which is no column of it", "对“{column}”的限制（没有这一列）"),
    "unmet": ("The catalogue does not say enough to keep: {limits}.", "目录中的信息不足以考虑：{limits}。"),
    "at_least": ("at least {low}", "至少{low}"),
    "at_most": ("at most {high}", "最多{high}"),
    "between": ("{low} to {high}", "{low}至{high}"),
    "exactly": ("exactly {low}", "正好{low}"),
    "items": ("{n} items", "共{n}项"),
    "one_item": ("1 item", "共1项"),
    "kept": ("{items}; every limit is kept.", "{items}，所有限制都已满足。"),
    "kept_but": ("{items}; every other limit is kept.", "{items}，其他限制都已满足。"),
    "kept_known": (
        "{items}; every limit that the catalogue can decide is kept.",
        "{items}，目录能够判断的限制都已满足。",
    ),
    "kept_read": (
        "{items}; every limit that was read is kept. Not read as a limit: “{words}”.",
        "{items}，已读取的限制都已满足。未作为限制读取：“{words}”。",
    ),
    "none": ("No list keeps all of these: {limits}.", "没有清单能同时满足：{limits}。"),
    "not_minimal": (
        "In the time given it was not settled whether fewer of them are to blame.",
        "在给定时间内未能确定是否可以归因于其中更少的限制。",
    ),
    "undecided": (
        "In the time given, no list was found that keeps all limits, and none was ruled out.",
        "在给定时间内没有找到满足所有限制的清单，但也不能断定不存在。",
    ),
    "ways": ("There is a list with {ways}.", "以下任意一种放宽即可得到清单：{ways}。"),
    "no_way": ("Loosening one of them alone does not help.", "仅放宽其中任何一项都不够。"),
    "or": (", or with ", "；或"),
    "way_count": ("{needed} instead of {wanted} items", "{needed}项而不是{wanted}项"),
    "way_total_high": (
        "total {name} {needed}, the lowest possible, instead of at most {wanted}",
        "{name}总和为{needed}（可能的最小值），而不是最多{wanted}",
    ),
    "way_total_low": (
        "total {name} {needed}, the highest possible, instead of at least {wanted}",
        "{name}总和为{needed}（可能的最大值），而不是至少{wanted}",
    ),
    "way_quota_high": ("'{words}' raised to {needed}", "“{words}”提高到{needed}项"),
    "way_quota_low": ("'{words}' lowered to {needed}", "“{words}”降到{needed}项"),
    "way_range_low": ("{name} from {needed} instead of {wanted}", "{name}从{needed}起，而不是{wanted}"),
    "way_range_high": ("{name} up to {needed} instead of {wanted}", "{name}到{needed}为止，而不是{wanted}"),
    "way_items": ("{needed} of the items outside '{words}'", "其中{needed}项不符合“{words}”"),
    "way_alike": ("items as alike as {needed} instead of {wanted}", "相似度放宽到{needed}，而不是{wanted}"),
    "way_drop": ("'{words}' given up", "放弃“{words}”"),
    "nearest": ("The nearest list has {ways}.", "最接近的清单：{ways}。"),
    "no_items": ("No item is left to put into a list.", "没有可供选择的项目。"),
}  # fmt: skip


def said(key: str, language: str, **parts: object) -> str:
    """A sentence or a part of one.

    Example:
        >>> said("count", "zh", high=3)
        '共3项'
    """
    return _WORDS[key][1 if language == "zh" else 0].format(**parts)


def number(value: float) -> str:
    """A number in writing: whole, or with at most two decimals where that says it all.

    Example:
        >>> number(31.970000000000002), number(3.0), number(0.1234)
        ('31.97', '3', '0.1234')
    """
    rounded = round(value, 2)
    return f"{rounded if abs(rounded - value) < 1e-9 else value:.10g}"


def column_limit(kind: str, name: str, low: float | None, high: float | None, language: str) -> str:
    """A limit of a sum or of a number of items.

    Example:
        >>> column_limit("total", "price", None, 20.0, "en")
        'total price at most 20'
    """
    if low is not None and high is not None:
        within = "exactly" if low == high else "between"
    else:
        within = "at_least" if high is None else "at_most"
    span = said(within, language, low=number(low or 0), high=number(high or 0))
    return said(kind, language, name=name, range=span)


def joined(parts: Sequence[str], language: str) -> str:
    """Limits one after the other."""
    return ("；" if language == "zh" else "; ").join(parts)
