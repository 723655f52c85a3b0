"""The words of the commands that speak, in English and Chinese."""

from __future__ import annotations

from typing import Final

__all__ = ["said"]

_CHINESE: Final = {
    "understood": "理解为",
    "misses": "未满足",
    "must be": "必须是",
    "rather": "最好是",
    "not": "不要",
    "parts": "其中",
    "at most": "最多",
    "with": "含有",
    "without": "不含",
    "sum of ": "总和：",
    "to": "至",
    "like": "类似",
    "not the items": "排除",
    "count": "数量",
    "scenario": "场景",
    "free words": "自由词",
    "nothing in particular": "没有具体要求",
    "kept": "已满足",
    "NOT kept": "未满足",
    "The nearest list, with": "最接近的清单：",
    "read by": "理解：",
    "written by": "撰写：",
    "rules": "规则",
    "templates": "模板",
    "ms": "毫秒",
    "evidence": "依据",
    "strength": "强度",
    "The catalogue and the graph say nothing more of it.": "目录和知识图谱中没有更多信息。",
}


def said(words: str, language: str) -> str:
    """Some words in a language.

    Example:
        >>> said("kept", "en"), said("kept", "zh")
        ('kept', '已满足')
    """
    return _CHINESE.get(words, words) if language == "zh" else words
