"""Words that a rephrased sentence may use beside those of its claim: they say nothing of their own."""

from typing import Final

__all__ = ["AGENTS", "NEGATORS", "NEGATORS_ZH", "NEUTRAL", "NEUTRAL_ZH", "NUMBER_WORDS", "STRONG"]

NEUTRAL: Final = frozenset(
    """
    a an the this that these those it its itself is are was were be been being has have had do does did
    of to in on at by for from with as and or so too also well just here there which who whom whose what
    while because since if then than you your yours will would can could may might
    ones give given look looking see take found find
    recommend recommended recommendation suggest suggested suggestion pick picked choose chosen
    reason reasons why how thing things title titles selection among within including include includes
    fit fits match matches matching similar similarly along alongside together
    both same kind kinds sort type
    """.split()  # noqa: SIM905 (read as a list of words)
)

# "not", and whatever turns a statement round or makes it small
NEGATORS: Final = frozenset(
    """
    not no never none nothing nobody without hardly barely scarcely seldom rarely neither nor unlike cannot
    except excluding lacks lack lacking fail fails failed dislike disliked dislikes hate hated hates avoid
    avoided avoids against despite although though instead few fewer less least below lower under worse worst
    bad poor boring far farther distant different unrelated opposite contrary only but
    """.split()  # noqa: SIM905
)

# what makes a statement stronger or wider than it is
STRONG: Final = frozenset(
    """
    all every everyone everybody everything always often usually mostly most many much several some any more
    best better higher above top greatest favourite favorite very really truly highly extremely absolutely
    perfect definitely certainly surely must exactly nearly almost about around over half twice double triple
    third quarter dozen majority percent
    """.split()  # noqa: SIM905
)

AGENTS: Final = frozenset(
    "others people user users viewer viewers customers fans everyone critics we us our i me my he she they them their".split()  # noqa: SIM905
)

NUMBER_WORDS: Final = {
    word: value
    for value, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"]
    )
} | {
    "twice": 2, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "hundred": 100, "thousand": 1000,
}  # fmt: skip

NEUTRAL_ZH: Final = frozenset(
    "的了也在和与你它这那部件是有为因而且所以里中把被给对于到一个样类型推荐选择想可能会，。、：；"
)
NEGATORS_ZH: Final = frozenset("不没无非未否别少但却只仅")
