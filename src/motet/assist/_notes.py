"""What an answer says about itself, in English and Chinese."""

from __future__ import annotations

from typing import Any

__all__ = ["note"]

_NOTES = {
    "contradicted": {
        "en": "You asked for and against {parts}; against wins.",
        "zh": "您既要求又排除了{parts}；以排除为准。",
    },
    "unknown_user": {
        "en": "User {user} is not known; answered as for anybody.",
        "zh": "没有用户 {user} 的记录；按普通用户回答。",
    },
    "nothing_asked": {
        "en": "Nothing was asked for; these are the first recommendations.",
        "zh": "没有提出要求；以下是首选推荐。",
    },
    "out_of_reach": {
        "en": "Nothing has {limit}: the catalogue goes from {low} to {high}. The nearest come first.",
        "zh": "没有符合“{limit}”的结果：目录中为 {low} 至 {high}；最接近的排在前面。",
    },
    "unread": {
        "en": "Not read: “{words}”. The catalogue has no such tag, title, number or fact.",
        "zh": "未能理解“{words}”：目录中没有这样的标签、标题、数字或事实。",
    },
    "by_meaning": {
        "en": "“{words}” is no tag, title, number or fact of the catalogue; it was only compared in meaning with the items' texts.",
        "zh": "“{words}”不是目录中的标签、标题、数字或事实，仅按含义与文本比较。",
    },
    "no_meaning": {
        "en": "Nothing was done with the words “{words}”: there is no text encoder.",
        "zh": "没有文本编码器，未使用“{words}”。",
    },
    "meaning_failed": {
        "en": "Nothing was done with the words “{words}”: {problem}.",
        "zh": "未能使用“{words}”：{problem}。",
    },
    "none_fits": {
        "en": "Nothing meets everything that was asked; what each one misses is said with it.",
        "zh": "没有同时满足全部要求的结果；每项未满足之处已注明。",
    },
    "seen_better": {
        "en": "What fits best was seen before ({count}); what each of these misses is said with it.",
        "zh": "最符合要求的 {count} 项都已看过；以下各项未满足之处已注明。",
    },
    "some_fit": {
        "en": "{count} meet everything that was asked; what the others miss is said with them.",
        "zh": "{count} 项满足全部要求；其余各项未满足之处已注明。",
    },
    "part_short": {
        "en": "Asked for was {part}; {found} could be found that may be shown.",
        "zh": "要求{part}，可推荐的只有{found}项。",
    },
    "contradictory": {
        "en": "No item can keep these together, they contradict each other: {limits}.",
        "zh": "以下限制互相矛盾，没有任何项目能同时满足：{limits}。",
    },
    "unmet": {
        "en": "The catalogue does not say enough to keep: {parts}.",
        "zh": "目录中没有相关信息：{parts}。",
    },
    "seen_again": {
        "en": "Everything that may be shown was seen before.",
        "zh": "可推荐的都已看过。",
    },
    "fewer": {
        "en": "{found} of the {wanted} asked for could be found.",
        "zh": "要求 {wanted} 个，只找到 {found} 个。",
    },
    "flags": {
        "en": "Parts of the request read like instructions to a machine and were ignored.",
        "zh": "请求中有类似机器指令的内容，已忽略。",
    },
    "long": {
        "en": "The request is too long: only its beginning was read.",
        "zh": "请求过长，只读取了开头部分。",
    },
    "not_read": {
        "en": "The request was read by rules alone: {problem}.",
        "zh": "仅按规则理解请求：{problem}。",
    },
    "not_written": {
        "en": "The reasons are in the words of templates: {problem}.",
        "zh": "推荐理由采用模板文字：{problem}。",
    },
    "refused": {
        "en": "{refused} of {sentences} sentences are in the words of templates: "
        "what the language model said did not follow from the evidence.",
        "zh": "{sentences} 句中有 {refused} 句采用模板文字：语言模型的说法与依据不符。",
    },
}


def note(kind: str, language: str, **values: Any) -> str:
    """One note in a language.

    Example:
        >>> note("fewer", "en", found=2, wanted=5)
        '2 of the 5 asked for could be found.'
    """
    return _NOTES[kind][language].format(**values)
