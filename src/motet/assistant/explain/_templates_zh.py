"""Sentences in Chinese; the slots are those of the English ones, with measure words in front of nouns."""

from typing import Final

from motet.assistant.explain._claim import Templates

__all__ = ["CHINESE_TEMPLATES"]

CHINESE_TEMPLATES: Final[Templates] = {
    "did_gave": {"plain": ("你给它打了{value}分{when}。",), "warm": ("你给它打了{value}分{when}。",), "brief": ("你给它打了{value}分{when}。",)},
    "did_liked": {"plain": ("你{liked}它{when}。",), "warm": ("你{liked}它{when}。",), "brief": ("你{liked}它{when}。",)},
    "did_not_liked": {
        "plain": ("你{had}它{when}，它不在你{liked}的{noun}之列。",),
        "warm": ("你{had}它{when}，它不在你{liked}的{noun}之列。",),
        "brief": ("你{had}它{when}，它不在你{liked}的{noun}之列。",),
    },
    "did_refused": {
        "plain": ("你表示过对它不感兴趣{when}。",),
        "warm": ("你表示过对它不感兴趣{when}。",),
        "brief": ("你表示过对它不感兴趣{when}。",),
    },
    "did_had": {"plain": ("你接触过它{when}。",), "warm": ("你接触过它{when}。",), "brief": ("你接触过它{when}。",)},
    "tags": {
        "plain": (
            "{part}你{liked}的{of}{mw}{noun}里，有{found}{mw}{is_kind}，这{mw}也一样。",
            "{part}这{mw}{noun}{is_kind}，你{liked}的{of}{mw}{noun}里有{found}{mw}也是如此。",
            "{all}你{liked}的{of}{mw}{noun}，全都{is_kind}，这{mw}也一样。",
        ),
        "warm": (
            "{keen}{part}看得出你偏爱{kinds}：在你{liked}的{of}{mw}{noun}里占了{found}{mw}，这{mw}也是。",
            "{part}又一{mw}{kinds}：你{liked}的{of}{mw}{noun}里已有{found}{mw}是这样的。",
            "{all}看得出你偏爱{kinds}：你{liked}的{of}{mw}{noun}全都如此，这{mw}也一样。",
        ),
        "brief": ("{part}{kinds}，你{liked}的{of}{mw}里有{found}{mw}也是。", "{all}{kinds}，和你{liked}的{of}{mw}全都一样。"),
    },
    "rate+": {
        "plain": ("{part}你{had}的{of}{mw}{kinds}中，有{found}{mw}是你{liked}的，这又是一{mw}。", "{all}你{had}的{of}{mw}{kinds}，全都是你{liked}的，这又是一{mw}。"),
        "warm": ("{part}{kinds}很合你的口味：{had}的{of}{mw}中，{found}{mw}是你{liked}的。", "{all}{kinds}很合你的口味：{had}的{of}{mw}，全都是你{liked}的。"),
        "brief": ("{part}你{had}的{of}{mw}{kinds}中，{found}{mw}是你{liked}的。", "{all}你{had}的{of}{mw}{kinds}，全都是你{liked}的。"),
    },
    "rate-": {
        "plain": ("{some}不过，你{had}的{of}{mw}{kinds}中，只有{found}{mw}是你{liked}的，而这{mw}也属此类。", "{none}不过，你{had}的{of}{mw}{kinds}中，没有一{mw}是你{liked}的，而这{mw}也属此类。"),
        "warm": ("{some}提醒一句：你{had}的{of}{mw}{kinds}中，只有{found}{mw}是你{liked}的。", "{none}提醒一句：你{had}的{of}{mw}{kinds}中，没有一{mw}是你{liked}的。"),
        "brief": ("{some}但你{had}的{of}{mw}{kinds}中，只有{found}{mw}是你{liked}的。", "{none}但你{had}的{of}{mw}{kinds}中，没有一{mw}是你{liked}的。"),
    },
    "near": {
        "plain": ("在我们的模型里，它与你{liked}的{titles}很接近。", "你{liked}{titles}，在我们的模型里，很少有{noun}比{them}更接近这{mw}。"),
        "warm": ("你{liked}{titles}，我们的模型认为这{mw}与{them}十分接近。", "我们的模型认为，这{mw}与你{liked}的{titles}很接近。"),
        "brief": ("模型认为它与{titles}很接近。",),
    },
    "moved": {
        "plain": ("在我们的模型里，你{liked}的{noun}中最为它加分的是{titles}。", "在我们的模型里，最为它加分的是你{liked}的{titles}。"),
        "warm": ("我们的模型首先想到的，是你{liked}的{titles}。",),
        "brief": ("模型里最为它加分的是{titles}。",),
    },
    "others": {
        "plain": (
            "{many}在{liked}{titles}的另外{of}人中，有{found}人也{liked}这{mw}。",
            "和你一样{liked}{titles}的人，{liked}这{mw}的比例至少是一般人的{times}倍。",
            "{few}和你一样{liked}{titles}的人，比一般人更常{liked}这{mw}：{of}人中有{found}人。",
        ),
        "warm": (
            "{half}和你一样{liked}{titles}的人，大多也{liked}这{mw}：{of}人中有{found}人。",
            "{many}和你一样{liked}{titles}的另有{of}人，其中{found}人也{liked}这{mw}。",
            "{few}和你一样{liked}{titles}的人，比一般人更常{liked}这{mw}：{of}人中有{found}人。",
        ),
        "brief": (
            "{many}{liked}{titles}的另外{of}人中，{found}人也{liked}它。",
            "{few}{liked}{titles}的人，比一般人更常{liked}它：{of}人中有{found}人。",
        ),
    },
    "peers": {
        "plain": ("在{category}同为“{value}”的另外{of}人中，有{found}人{liked}它，高于一般水平。",),
        "warm": ("在{category}同为“{value}”的另外{of}人中，有{found}人{liked}它，高于一般水平。",),
        "brief": ("{category}同为“{value}”的{of}人中，{found}人{liked}它。",),
    },
    "popular_top": {
        "plain": ("有{found}人{liked}它，位居前{top}名。", "它是最多人{liked}的{top}{mw}{noun}之一，共有{found}人。"),
        "warm": ("已有{found}人{liked}它，位居前{top}名。",),
        "brief": ("{found}人{liked}，位居前{top}名。",),
    },
    "popular": {"plain": ("有{found}人{liked}它。",), "warm": ("到目前为止，有{found}人{liked}它。",), "brief": ("{found}人{liked}它。",)},
    "year": {
        "plain": ("它来自{decade}年代，你{liked}的{of}{mw}{noun}里有{found}{mw}也是。", "你{liked}的{of}{mw}{noun}里，有{found}{mw}来自{decade}年代，这{mw}也是。"),
        "warm": ("{often}看来你钟情{decade}年代：你{liked}的{of}{mw}{noun}里有{found}{mw}来自那时，这{mw}也是。", "它带你回到{decade}年代，你{liked}的{of}{mw}{noun}里有{found}{mw}也来自那时。"),
        "brief": ("来自{decade}年代，你{liked}的{of}{mw}里有{found}{mw}也是。",),
    },
    "number": {
        "plain": ("它的{column}为{value}，介于{low}和{high}之间，你{liked}的{of}{mw}{noun}里有{found}{mw}也是。",),
        "warm": ("它的{column}为{value}，介于{low}和{high}之间，你{liked}的{of}{mw}{noun}里有{found}{mw}也是。",),
        "brief": ("{column}{value}，与你{liked}的{of}{mw}里的{found}{mw}相近。",),
    },
    "words_title": {
        "plain": ("和你{liked}的{titles}一样，它的标题里也有{words}。",),
        "warm": ("你{liked}{titles}，这{mw}的标题里也有{words}。",),
        "brief": ("和{titles}一样，标题里有{words}。",),
    },
    "words": {
        "plain": ("和你{liked}的{titles}一样，它的{column}里也提到{words}。",),
        "warm": ("你{liked}{titles}，这{mw}的{column}里也提到{words}。",),
        "brief": ("和{titles}一样，提到{words}。",),
    },
    "fact_named": {
        "plain": ("它的{said}是{entities}，与你{liked}的{titles}相同。", "和你{liked}的{titles}一样，它的{said}也是{entities}。"),
        "warm": ("你{liked}{titles}，这{mw}的{said}同样是{entities}。",),
        "brief": ("{said}是{entities}，与{titles}相同。",),
    },
    "fact": {
        "plain": ("它与你{liked}的{titles}有共同的{said}。", "你{liked}{titles}，这{mw}与{them}有共同的{said}。"),
        "warm": ("你{liked}{titles}，这{mw}与{them}有共同的{said}。",),
        "brief": ("与{titles}有共同的{said}。",),
    },
    "fact_direct": {
        "plain": ("它的{said}是你{liked}的{titles}。", "你{liked}{titles}，{them}正是这{mw}{noun}的{said}。"),
        "warm": ("你{liked}{titles}，{them}正是这{mw}{noun}的{said}。",),
        "brief": ("{said}：{titles}。",),
    },
    "is": {"plain": ("{title}是{a_kind_of}。",), "warm": ("{title}是{a_kind_of}。",), "brief": ("{a_kind_of}。",)},
    "is_more": {"plain": ("它的{column}是{value}。",), "warm": ("它的{column}是{value}。",), "brief": ("{column}：{value}。",)},
    "says": {"plain": ("它的{said}是{entities}。",), "warm": ("它的{said}是{entities}。",), "brief": ("{said}：{entities}。",)},
    "similar": {
        "plain": ("在我们的模型里，与它最接近的{noun}有{titles}。",),
        "warm": ("如果你知道{titles}：我们的模型认为，很少有{noun}比{them}更接近它。",),
        "brief": ("模型认为它与{titles}很接近。",),
    },
}  # fmt: skip
