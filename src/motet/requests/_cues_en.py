"""The small words of English that say how the others are meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["ENGLISH", "ENGLISH_ORDINALS", "ENGLISH_STOP"]

# Kind of cue → phrases, separated by commas. Where two phrases fit, the longer one is meant.
ENGLISH: Final[Mapping[str, str]] = {
    "not": """no, not, without, dont want, do not want, dont like, do not like, didnt like, dont need, dont show,
        do not show, dont give, dont recommend, do not recommend, dont, do not, never, neither, nor, none, nothing, isnt,
        is not, arent, are not, wasnt, shouldnt be, should not be, mustnt, must not, cant have, hate, hates, hated,
        dislike, dislikes, disliked, detest, tired of, sick of, bored of, bored with, fed up with, cant stand, avoid,
        avoiding, skip, exclude, excluding, leave out, minus, non, rather not, prefer not, no more, enough of,
        instead of, less, free of, devoid of, not in the mood for, not interested in, not a fan of, not fond of,
        keep away from, stay away from, drop the, drop, remove the, remove, get rid of, take out, ditch, cross out, had enough of, cannot stand, allergic to, not into, nix, wont watch,
        will not watch, wouldnt watch, would not watch, wont see, will not see, wont have, wont sit through, refuse to watch,
        never watch, not watching, not going to watch, not want to see, dont want to see""",
    "except": """except, except for, anything but, everything but, all but, other than, apart from, aside from, besides,
        anything except, everything except, with the exception of, anything other than, anything that is not,
        anything that isnt, everything that is not""",
    "noop": """havent seen, have not seen, never seen, hasnt seen, not seen, the newer the better, the older the better,
        the longer the better, the cheaper the better, no problem with, no problem, dont mind, do not mind, doesnt matter, does not matter, no matter, why not,
        not bad, nothing else, dont know, do not know, not sure, no idea, no preference,
        dont care, do not care, dont leave out, dont forget, dont miss, cant wait, nothing wrong with, not necessarily,
        would like, id like, wed like, like to, feel like, feeling like, looks like, sounds like, like that, no need,
        at all, no objection to, nothing against, dont skip, not opposed to, if you like, as you like, no rush,
        cant get enough of, cannot get enough of, couldnt get enough of,
        no thanks, not a problem, like a lot, whatever you like, how about, what about, thank you very much""",
    "only": "nothing but, only, just, solely, exclusively",
    "but": """but, however, though, although, yet, still, apart from that, other than that, besides that,
        except for that, aside from that""",
    "pos": """give me, show me, i want, i would like, id like, want, rather, i need, need, lets have, let me have,
        recommend me, recommend, find me, find, looking for, i feel like, in the mood for, more, with, any, please give,
        please show, how about, what about, i prefer, bring me, get me, make it""",
    "hedge": """maybe, perhaps, preferably, ideally, possibly, if possible, a bit of, a bit, a little, a little bit of,
        a little bit, a touch of, a hint of, kind of, sort of, somewhat, slightly, best if, if you can, hopefully,
        would not say no to, wouldnt say no to, will not say no to, wont say no to, could not say no to,
        couldnt say no to, cannot say no to, cant say no to, never say no to, would not turn down, wouldnt turn down,
        would not mind, wouldnt mind, would not refuse, wouldnt refuse,
        bonus points for, bonus if, i prefer, i would prefer, id prefer, it would be nice, mostly, mainly,
        not only, not just, not merely""",
    "hedge_after": """is fine, are fine, would be nice, if possible, is ok, are ok, is okay,
        are okay, is good too, if you have it, would be a plus, is a plus, preferred, fine by me, is welcome""",
    "or": "or, or else, and or",
    "and": "and, plus, as well as, along with, together with",
    "also": "also, too, and also, as well, in addition, additionally",
    "like": """like, similar to, along the lines of, in the style of, in the vein of, reminiscent of, such as,
        resembling, resembles, comparable to, close to, much like, a lot like, kind of like, sort of like, just like,
        something like, anything like, same as, the same kind as, as good as, in the spirit of, inspired by, more like,
        more of, not unlike, remind me of, reminds me of, alike, akin to, same vibe as, similar""",
    "like_after": "style, type of, esque, kind of, sort of, vibes, like",
    "liked": """i liked, i loved, i love, i like, i enjoyed, we liked, we loved, we love, i really liked, i really loved,
        i really like, i really love, i adore, i adored, fan of, fans of, a fan of, loved, liked, enjoyed,
        my favourite is, my favorite is, looks good, look good, looks great, is great, sounds good, was great""",
    "seen": """seen, already seen, ive seen, i have seen, ive already seen, i have already seen, we have seen, weve seen,
        weve already seen, already watched, ive watched, i have watched, already know, already have, already own,
        i know, just saw, just watched, i saw, i watched, have seen, have watched, ive read, already read, ive bought,
        i own, i have""",
    "gt": """after, later than, newer than, more recent than, younger than, more than, over, above, greater than,
        longer than, higher than, bigger than, more expensive than, beyond, past, exceeding, past the""",
    "lt": """before, earlier than, older than, less than, under, below, fewer than, shorter than, lower than, smaller than,
        cheaper than, prior to, pre""",
    "ge": """since, at least, from at least, starting from, starting in, no less than, not less than, not before,
        no earlier than, not earlier than, not older than, no older than, minimum, min, a minimum of, not under, as of,
        not shorter than, no shorter than""",
    "le": """until, till, up to, at most, at the most, no more than, not more than, no later than, not later than,
        not after, maximum, max, a maximum of, not over, no longer than, not longer than, not newer than, no newer than,
        within, not exceeding, not above, tops, at max, no higher than""",
    "or_later": """or later, or newer, or after, or more recent, or more, or above, or higher, and later, and newer,
        and up, onwards, onward, and after, and above, or longer, plus years, or over, and onwards, and beyond""",
    "or_earlier": """or earlier, or older, or before, or less, or below, or lower, and earlier, and older, and before,
        or shorter, or under, or fewer, at most, at the most, max, maximum, tops, at max, or cheaper""",
    "between": "between, in between, anywhere between, ranging from",
    "to": "to, through, until, till",
    "early": "early, early to mid, beginning of, the beginning of, start of, the start of, first half of",
    "mid": "mid, middle",
    "late": "late, end of, the end of, second half of",
    "new": "recent, new, newest, latest, modern, contemporary, current, recently released, fresh, up to date, most recent",
    "old": "old, classic, vintage, old school, old fashioned, golden age, classics, oldies, oldie, ancient, retro",
    "cheap": "cheap, inexpensive, affordable, low cost, low priced, budget friendly, cheapest, not expensive, bargain",
    "dear": "expensive, luxury, premium, high end, pricey, luxurious, costly",
    "older": "older, earlier, older ones, earlier ones, less recent, too recent, too new, too modern",
    "newer": "newer, later, more recent, newer ones, more modern, too old, too dated, too old fashioned",
    "cheaper": "cheaper, less expensive, lower priced, lower price, less pricey, more affordable, too expensive, too pricey",
    "dearer": "more expensive, pricier, higher priced, fancier, dearer",
    "shorter": "shorter, too long",
    "longer": "longer, too short",
    "than": "than, than that, than those, than these, than this",
    "noun": """film, films, movie, movies, picture, pictures, flick, flicks, title, titles, item, items, product, products,
        thing, things, suggestion, suggestions, recommendation, recommendations, option, options, pick, picks, choice,
        choices, result, results, book, books, song, songs, game, games, article, articles, show, shows, work, works,
        of them, of those, of these, pieces, piece, examples, ideas, idea, alternatives, alternative""",
    "total": """in total, in all, altogether, all together, total, overall, for everything, combined, for all of them,
        for all, all in all, total budget, budget of, budget, a budget of, my budget is, spend""",
    "brief": """keep it brief, be brief, briefly, keep it short, in short, short answer, short answers, no explanations,
        no explanation, in a few words, brief, concise, concisely, to the point, without explanation""",
    "warm": "warmly, be warm, be friendly, friendly tone, in a friendly way, be kind, in a warm tone",
    "by": """directed by, starring, written by, made by, by director, with actor, with actress, acted by, played by,
        director, actor, actress, composed by, produced by, films by, movies by, featuring, author, narrated by""",
    "reset": """start over, start again, forget it, forget that, forget everything, new search, never mind, nevermind,
        from scratch, reset, scratch that, something completely different, begin again, clear everything, start afresh""",
    "perhaps_instead": "actually",
    "not_after": """was awful, was terrible, was bad, was boring, was horrible, was a disappointment, was disappointing, sucked,
        sucks, is awful, is terrible, is boring, is overrated, was overrated, was not good, wasnt good, is not for me,
        isnt for me, was not for me, is not my thing, isnt my thing, are not my thing, arent my thing, bores me,
        bored me, left me cold, are not for me, arent for me, were not for me, are not good, wasnt my thing, is out, are out, was too long, was dull, is dull""",
    "old_years": "years old, year old, years of age",
    "last_years": "last, past, the last, the past, in the last, in the past, within the last, from the last, during the last",
    "instead": "instead, make that, make it, change to, switch to, change that to, rather than that",
    "others": """something else, others, other ones, different ones, another one, another, show me others, anything else,
        something different, other films, other movies, other options, show me more, give me more, more please, next,
        next ones, the next ones, keep going, more of them, new ones, some more, different""",
    "that": "that one, this one, that, this, it, that film, that movie, this film, this movie",
    "those": """those, these, them, all of them, all of those, any of those, any of these, of those, of them,
        those ones, these ones, all those, any of them, all three, either of them, both, both of them, both of those""",
    "forget_numbers": """any year, any age, any time, from any year, whatever year, no matter when, year doesnt matter,
        of any year, the year doesnt matter, at any price, any price, price doesnt matter""",
    "year_word": "year, the year, years",
    "born": "my wedding, our wedding, i got married, we got married, we married, i married, i graduated, we graduated",
    "childhood": """when i was a kid, when i was a child, when i was a boy, when i was a girl, when i was little, when i was small,
        when i was young, when i was younger, when i was a teenager, when i was a student, when i was at school,
        when i was in school, when i was in college, when i was growing up, when i grew up, when we were kids,
        when we were children, when we were young, when we were little, as a kid, as a child, as a teenager, as kids,
        my childhood, our childhood, my youth, our youth, my teens, my teenage years, my school days, my student days,
        i grew up with, we grew up with, i grew up on, my parents were young, my parents were kids, my mother was a girl,
        my father was a boy""",
    "unless": "unless, unless it is, unless its, unless they are, unless theyre, unless of course, if not for",
    "from": "came out, come out, from, in, of, during, made in, released in, made, released, out of, shot in, dating from, came out in",
}

ENGLISH_ORDINALS: Final[Mapping[str, int]] = {
    **{word: place for place, word in enumerate(
        ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"))},
    **{f"{number}{ending}": number - 1 for number, ending in
       ((1, "st"), (2, "nd"), (3, "rd"), *((n, "th") for n in range(4, 21)))},
    "last": -1,
}  # fmt: skip
"""Place of a thing that was shown, from 0; −1 is the last."""

ENGLISH_STOP: Final = """
a about above actually after again all almost already always am an and any anybody anyone anything are around as at
be been before being best better big both bring but by can cannot cant come could couple day days did didnt do does doesnt
doing done dont each else enjoy ever every everybody everyone everything few find fine for from get give given go going good
got great had has hasnt have havent having he hello help her here hey hi him his how i id if ill im in into is isnt it its
ive just keep kind know let lets like list little look looking lot lots made make makes making many may me mean might
mind mine mood more most much must my myself need needs never next nice no not nothing now of off ok okay on once one ones
only or other our ours out over own per please plz pls possible pretty put quite rather really recommend recommended
recommendation right said same say see seen set she short should show similar so some somebody someone something somewhat
sort still story stories style stuff such suggest sure surprise take tell than thank thanks that thats the their them then
there these they thing think this those though to today together too top totally tonight try type under until up us use
very vibe want wants wanted was watch watching way we well were what whatever whats when where which who whole whom whose
why will wish with within without wont would yeah yes yet you your
about film films movie movies item items product products find finding choose choosing pick interested interesting
genre genres category categories kinds types currently basically especially particularly course maybe perhaps evening
available include including includes contain contains containing featuring feature features involve involving somehow
theme themed themes somewhere anywhere anyway hopefully end doesnt wouldnt isnt arent id wed theyre youre were theres heres
spend dollars euro euros cost costs price priced prices budget answer explain suggestions release releases released problem
please set definitely certainly absolutely itself himself herself themselves myself form
friendly suitable appropriate wonderful awesome amazing excellent fantastic brilliant superb spirit favourite favorite
time hmm hm sth perfect people husband wife boyfriend girlfriend nicely decent proper bother whats anybody fancy fancied preferred gimme wanna gonna
"""
