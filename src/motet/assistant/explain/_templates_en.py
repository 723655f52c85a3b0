"""Sentences in English. A sentence is used only where every slot it names can be filled.

Slots: ``found`` and ``of`` are counts; ``share`` is "12 of the 38" or "all 10"; ``only`` the same after "only";
``times`` is "twice", "three times" ...; ``often``, ``keen``, ``half``, ``many``, ``few``, ``part``, ``rarely`` and ``such`` are empty, and
there only where the numbers bear the words beside them out. A slot with a capital begins a sentence.
"""

from collections.abc import Mapping
from typing import Final

from motet.assistant.explain._claim import Templates

__all__ = ["ALSO_TRUE", "ENGLISH_TEMPLATES"]

ENGLISH_TEMPLATES: Final[Templates] = {
    "did_gave": {"plain": ("You gave it {value}{when}.",), "warm": ("You gave it {value}{when}.",), "brief": ("You gave it {value}{when}.",)},
    "did_liked": {"plain": ("You {liked} it{when}.",), "warm": ("You {liked} it{when}.",), "brief": ("You {liked} it{when}.",)},
    "did_not_liked": {
        "plain": ("You {had} it{when}, and it is not among the {nouns} you {liked}.",),
        "warm": ("You {had} it{when}, and it is not among the {nouns} you {liked}.",),
        "brief": ("You {had} it{when}; not among the {nouns} you {liked}.",),
    },
    "did_refused": {
        "plain": ("You turned it down{when}.",),
        "warm": ("You turned it down{when}.",),
        "brief": ("You turned it down{when}.",),
    },
    "did_had": {"plain": ("You came across it{when}.",), "warm": ("You came across it{when}.",), "brief": ("You came across it{when}.",)},
    "tags": {
        "plain": (
            "This is {a_kind}, like {share} {nouns} you {liked}.",
            "{part}{found} of the {of} {nouns} you {liked} {are_kinds}, like this one.",
            "{often}{part}{Kinds} come up often among the {nouns} you {liked} ({found} of {of}), and this is one.",
            "{part}Among the {of} {nouns} you {liked}, {found} {are_kinds}, and here is another.",
        ),
        "warm": (
            "{keen}You have a taste for {kinds}, it seems: {share} {nouns} you {liked}, and now this one.",
            "One more {kind} for you, after the {found} you {liked}.",
            "{part}Another {kind}: {found} of the {of} {nouns} you {liked} are of this kind.",
        ),
        "brief": ("{A_kind}, like {share} you {liked}.",),
    },
    "rate+": {
        "plain": (
            "You {liked} {share} {kinds} you {had}, and this is another.",
            "{part}Of the {of} {kinds} you {had}, you {liked} {found}; here is one more.",
        ),
        "warm": ("{Kinds} suit you: you {liked} {share} you {had}.", "{rarely}You rarely go wrong with {kinds}: you {liked} {share} you {had}."),
        "brief": ("You {liked} {share} {kinds} you {had}.",),
    },
    "rate-": {
        "plain": (
            "To be fair, you {liked} {only} {kinds} you {had}, and this is one.",
            "One thing speaks against it: you {liked} {only} {kinds} you {had}.",
        ),
        "warm": ("A word of caution: this is {a_kind}, and you {liked} {only} {kinds} you {had}.",),
        "brief": ("But you {liked} {only} {kinds} you {had}.",),
    },
    "near": {  # near by what the model learnt, which is not always what a film is about: so it says whose view it is
        "plain": (
            "Our model places it close to {titles}, which you {liked}.",
            "You {liked} {titles}; by our model, few {nouns} are closer to this one.",
            "{titles}, which you {liked}, {are} among the {nouns} that our model places closest to this one.",
        ),
        "warm": (
            "You {liked} {titles}, and to our model this is a close relative.",
            "Our model finds this a close relative of {titles}, which you {liked}.",
            "{titles}, which you {liked}, {are} close by in our model.",
        ),
        "brief": ("Close to {titles} in our model.",),
    },
    "moved": {  # also of an item that would not be recommended: it never says that something was picked
        "plain": (
            "Of everything you {liked}, {titles} weighed most for it in our model.",
            "What weighed most for it in our model is that you {liked} {titles}.",
        ),
        "warm": (
            "Of all the {nouns} you {liked}, {titles} spoke loudest for this one in our model.",
            "Here our model leans above all on {titles}, which you {liked}.",
        ),
        "brief": ("Weighed most in our model: {titles}.",),
    },
    "others": {
        "plain": (
            "{many}{found} of the {of} other people who {liked} {titles} {liked} this too.",
            "{many}Of the {of} others who {liked} {titles}, {found} also {liked} this.",
            "Others who {liked} {titles}, as you did, {liked} this at least {times} as often as people in general.",
            "{few}Others who {liked} {titles}, as you did, {liked} this more often than people in general: {found} of {of}.",
        ),
        "warm": (
            "{half}Most other people who {liked} {titles}, as you did, {liked} this too: {found} of {of}.",
            "{many}{of} others {liked} {titles}, as you did, and {found} of them {liked} this as well.",
            "{few}People who {liked} {titles}, as you did, {liked} this more often than usual: {found} of {of}.",
            "{few}People who {liked} {titles}, as you did, {liked} this at least {times} as often as people in general.",
        ),
        "brief": (
            "{many}{found} of {of} others who {liked} {titles} {liked} it.",
            "{few}Others who {liked} {titles} {liked} it more often than usual: {found} of {of}.",
        ),
    },
    "peers": {
        "plain": ("{found} of the {of} other people whose {category} is “{value}” {liked} it, more than usual.",),
        "warm": ("Among people whose {category} is “{value}”, it does better than usual: {found} of {of} {liked} it.",),
        "brief": ("{found} of {of} others with {category} “{value}” {liked} it.",),
    },
    "popular_top": {
        "plain": (
            "{found} people {liked} it, which puts it among the top {top}.",
            "It is among the {top} {nouns} that the most people {liked}: {found} did.",
        ),
        "warm": (
            "No fewer than {found} people {liked} it, which puts it among the top {top}.",
            "It is one of the {top} {nouns} that the most people {liked}: {found} did.",
        ),
        "brief": ("Among the top {top}: {found} people {liked} it.",),
    },
    "popular": {
        "plain": ("{found} people {liked} it.",),
        "warm": ("{found} people {liked} it so far.",),
        "brief": ("{found} people {liked} it.",),
    },
    "year": {
        "plain": (
            "It is from the {decade}, like {share} {nouns} you {liked}.",
            "{part}{found} of the {of} {nouns} you {liked} are from the {decade}, as is this one.",
        ),
        "warm": (
            "{often}The {decade} seem to be your time: {share} {nouns} you {liked} are from then, like this one.",
            "It takes you back to the {decade}, like {share} {nouns} you {liked}.",
        ),
        "brief": ("From the {decade}, like {share} you {liked}.",),
    },
    "number": {
        "plain": ("Its {column} ({value}) is between {low} and {high}, like that of {share} {nouns} you {liked}.",),
        "warm": ("Its {column} of {value} is where you often look: {share} {nouns} you {liked} are between {low} and {high}.",),
        "brief": ("{Column} {value}, in the range of {share} you {liked}.",),
    },
    "words_title": {
        "plain": ("It has {words} in its title, like {titles}, which you {liked}.", "Like {titles}, which you {liked}, it has {words} in its title."),
        "warm": ("You {liked} {titles}; this one has {words} in its title as well.",),
        "brief": ("{words} in the title, as in {titles}.",),
    },
    "words": {
        "plain": ("Its {column} mentions {words}, like that of {titles}, which you {liked}.", "Like {titles}, which you {liked}, it mentions {words} in its {column}."),
        "warm": ("You {liked} {titles}; here too the {column} mentions {words}.",),
        "brief": ("Mentions {words}, like {titles}.",),
    },
    "fact_named": {
        "plain": ("Like {titles}, which you {liked}, this is {a_thing} {entities}.", "This is {a_thing} {entities}, like {titles}, which you {liked}."),
        "warm": ("You {liked} {titles}; here is another {noun} {said} {entities}.",),
        "brief": ("{A_thing} {entities}, like {titles}.",),
    },
    "fact": {
        "plain": ("It shares {what} with {titles}, which you {liked}.", "You {liked} {titles}, and it shares {what} with this one."),
        "warm": ("You {liked} {titles}; this one shares {what} with {them}.",),
        "brief": ("Shares {what} with {titles}.",),
    },
    "fact_direct": {
        "plain": (
            "It is {said} {titles}, which you {liked}.",
            "{such}You {liked} {titles}, and this one is {said} it.",
        ),
        "warm": ("{such}You {liked} {titles}, and this one is {said} it.", "It is {said} {titles}, which you {liked}."),
        "brief": ("{Said} {titles}.",),
    },
    "is": {"plain": ("{Title} is {a_kind_of}.",), "warm": ("{Title} is {a_kind_of}.",), "brief": ("{A_kind_of}.",)},
    "is_more": {"plain": ("Its {column} is {value}.",), "warm": ("Its {column} is {value}.",), "brief": ("{Column}: {value}.",)},
    "says": {
        "plain": ("It is {is_thing} {entities}.",),
        "warm": ("It is {is_thing} {entities}.",),
        "brief": ("{Said} {entities}.",),
    },
    "similar": {
        "plain": ("By our model, {titles} {are} closest to it of all {nouns}.", "The {nouns} that our model places closest to it include {titles}."),
        "warm": ("If you know {titles}: our model finds few {nouns} closer to it.",),
        "brief": ("Close to {titles} in our model.",),
    },
}  # fmt: skip

ALSO_TRUE: Final[Mapping[str, tuple[str, ...]]] = {
    "tags": (
        "{part}Of the {of} {nouns} you {liked}, {found} {are_kinds}, as does this one.",
        "{part}{found} of the {of} {nouns} you {liked} are {kinds}, and so is this one.",
        "{part}{found} out of the {of} {nouns} you {liked} {are_kinds}.",
        "{part}{found} out of {of} {nouns} you {liked} {are_kinds}.",
    ),
    "rate+": (
        "{part}You have {liked} {found} of the {of} {kinds} you have {had}.",
        "{part}You {liked} {found} out of the {of} {kinds} you {had}.",
        "{part}You {liked} {found} out of {of} {kinds} you {had}.",
    ),
    "others": (
        "Of the {of} others who {liked} {titles}, {found} {liked} this.",
        "{found} out of the {of} others who {liked} {titles} {liked} this.",
        "{found} out of {of} other people who {liked} {titles} also {liked} this.",
        "Among the {of} other people who {liked} {titles}, {found} also {liked} this.",
        "{found} of the {of} people who {liked} {titles} besides you {liked} this.",
    ),
    "year": (
        "{found} of the {of} {nouns} you {liked} come from the {decade}.",
        "{found} out of the {of} {nouns} you {liked} are from the {decade}.",
        "Of the {of} {nouns} you {liked}, {found} are from the {decade}.",
    ),
    "popular_top": (
        "With {found} people who {liked} it, it is in the top {top}.",
        "It has been {liked} by {found} people, which puts it in the top {top}.",
        "Liked by {found} people, it is one of the top {top}.",
    ),
    "popular": ("It has been {liked} by {found} people.",),
}
"""Sentences that are never shown, and that a generator may write."""
