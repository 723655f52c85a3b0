"""Personal data in text, found and replaced."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from motet.errors import MissingExtraError
from motet.text.safety._as_data import fold

__all__ = ["PERSONAL_KINDS", "PersonalKind", "Redaction", "redact", "redactions"]

PersonalKind = Literal["secret", "mail", "iban", "card", "id", "ip", "phone"]
PERSONAL_KINDS: Final[tuple[PersonalKind, ...]] = get_args(PersonalKind)
"""Kinds of personal data, in the order in which they are looked for; the first to claim a place keeps it."""

_Spans = Iterator[tuple[int, int]]

_FEWEST_DIGITS_OF_A_PHONE: Final = 7
_CALLING: Final = (
    r"(?:call|calls|phone|phones|tel|telephone|mobile|cell|cellphone|whats?app|fax|text|dial|ring|reach|sms|"
    r"signal|wechat)"
)
_SECRETS: Final = re.compile(
    r"""
      -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----.*?(?:-----END[ ][A-Z ]*PRIVATE[ ]KEY-----|\Z)
    | (?<![\w-])(?:sk|pk|rk)[-_](?=[\w-]{0,40}?[A-Za-z0-9]{16})[\w-]+         # OpenAI, Anthropic, Stripe
    | \b(?:gh[pousr]_|github_pat_|glpat-|hf_|npm_|pypi-)[A-Za-z0-9_-]{16,}
    | \bxox[abeoprs]-[A-Za-z0-9-]{10,}                                        # Slack
    | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b                                           # AWS
    | \bAIza[A-Za-z0-9_-]{30,}                                                # Google
    | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*               # a signed web token
    | (?<=://)[^\s/@:]{1,64}:[^\s/@]{1,128}(?=@)                              # user:password@host
    """,
    re.VERBOSE | re.DOTALL,
)
# The value alone is the secret, and only one that mixes letters and digits looks like one:
# "secret: wonderful" is a review.
_NAMED_SECRETS: Final = re.compile(
    r"(?i:\bbearer\s+|\b(?:api|access|auth|secret|private)?[-_ ]?(?:key|token|secret|password|passwd|pwd)"
    r"\s*(?:is|[:=])\s*|密码\s*(?:是|为|[:：=])\s*)[\"']?"
    r"(?=[^\s\"',;，。；]*\d)(?=[^\s\"',;，。；]*[A-Za-z])([^\s\"',;，。；]{8,})"
)
_MAIL: Final = re.compile(
    r"[\w.+%'-]{1,64}(?<![.'])@(?:[^\W_](?:[\w-]{0,62}))(?:\.[^\W_](?:[\w-]{0,62}))+"
    r"|(?<![\w.+-])[\w.+-]{1,64}\s{0,3}[\[(]\s{0,3}at\s{0,3}[\])]\s{0,3}\w[\w-]{0,62}"
    r"(?:\s{0,3}(?:\.|[\[(]\s{0,3}dot\s{0,3}[\])])\s{0,3}\w[\w-]{0,62})+"
    r"|(?<![\w.+-])[\w.+-]{1,64} at (?:[\w-]{1,62} dot ){1,3}(?:com|org|net|edu|gov|info|io|cn|co|uk|de|fr|eu)\b",
    re.IGNORECASE,
)
_IBAN: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}(?![A-Za-z0-9])")
_LONGEST_IBAN: Final = 34
_CARD: Final = re.compile(r"(?<![\d.,-])\d(?:[ -]?\d){13,18}(?![\d])(?![.,-]\d)")
_ISSUERS: Final[tuple[tuple[str, frozenset[int]], ...]] = (
    (r"4", frozenset({16, 19})),  # Visa
    (r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", frozenset({16})),  # Mastercard
    (r"3[47]", frozenset({15})),  # American Express
    (r"3(?:0[0-5]|095|[689])", frozenset({14, 16, 19})),  # Diners Club
    (r"35(?:2[89]|[3-8])", frozenset({16, 17, 18, 19})),  # JCB
    (r"6011|64[4-9]|65", frozenset({16, 19})),  # Discover
    (r"62|81", frozenset({16, 17, 18, 19})),  # UnionPay
    (r"50|5[6-9]|6[0-9]", frozenset({16, 17, 18, 19})),  # Maestro; shorter ones look like anything
)
_RESIDENT: Final = re.compile(
    r"(?<![0-9A-Za-z])[1-9]\d{5}[ -]?(?:18|19|20)\d{2}\d{4}[ -]?\d{3}[0-9Xx](?![0-9A-Za-z])"
)
_SOCIAL: Final = re.compile(
    r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])"
    r"|(?i:\b(?:ssn|social\s+security(?:\s+(?:number|no\.?))?)\W{0,3}(?:is\W{0,3})?)(\d{3}[ -]?\d{2}[ -]?\d{4})(?!\d)"
)
_IP4: Final = re.compile(r"(?<![\w.])(?<![vV])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)")
_VERSION_BEFORE: Final = re.compile(
    r"(?:version|release|firmware|build|chapter|section|§|ver\.?|v\.?)\s*$", re.IGNORECASE
)
_IP6: Final = re.compile(r"(?<![\w:.])(?=[0-9A-Fa-f:]*\d)[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])")
_PLUS: Final = re.compile(r"(?<![\w+])(?:\+|00[ ]?(?=[1-9]))\(?\d(?:[ ().-]{0,2}\d){7,14}(?!\d)")
_MOBILE_CN: Final = re.compile(r"(?<![\d.])1[3-9]\d(?:[ -]?\d){8}(?!\d)(?!\.\d)")
_NAMED_PHONE: Final = re.compile(
    rf"(?:\b{_CALLING}\b[^\d\n+(]{{0,20}}|(?:电话|手机|手机号|致电|微信|拨打|联系)[^\d\n+(]{{0,8}})"
    r"(\+?\(?\d(?:[ ().-]{0,2}\d){6,14})(?!\d)",
    re.IGNORECASE,
)
_BOOK_BEFORE: Final = re.compile(r"(?:isbn|issn|ean|upc|asin|sku|书号)(?:-?1[03])?\W{0,3}$", re.IGNORECASE)
_BOOK_BEFORE_CHARACTERS: Final = 12


@dataclass(frozen=True, slots=True)
class Redaction:
    """A place in a text that holds personal data.

    Attributes:
        kind: What it is.
        start: First character, from 0.
        end: After the last character.
    """

    kind: PersonalKind
    start: int
    end: int


def redact(text: str) -> str:
    """Replace personal data and secrets by ``[mail]``, ``[phone]``, ``[card]``, ``[iban]``, ``[id]``, ``[ip]``, ``[secret]``.

    Names and postal addresses are not found: no rule tells them from the names and places in films.

    Args:
        text: Any text.

    Returns:
        The text; character for character the same where nothing was found.

    Raises:
        MissingExtraError: If phonenumbers or python-stdnum is not installed. Nothing is let through then.

    Example:
        >>> redact("2001: A Space Odyssey, call +1 212 555 0142 or write to ann@example.com")
        '2001: A Space Odyssey, call [phone] or write to [mail]'
    """
    parts, end = [], 0
    for found in redactions(text):
        parts += [text[end : found.start], f"[{found.kind}]"]
        end = found.end
    return "".join([*parts, text[end:]])


def redactions(text: str) -> tuple[Redaction, ...]:
    """Find personal data and secrets.

    Payment cards must pass Luhn's check and begin like an issuer's, IBANs and Chinese resident ids
    must pass theirs (ISO 7064), telephone numbers must be valid where they claim to be, follow a word
    such as "call", or begin with "+".

    Args:
        text: Any text.

    Returns:
        Places in order; none overlaps another.

    Raises:
        MissingExtraError: If phonenumbers or python-stdnum is not installed.

    Example:
        >>> redactions("mail ann@example.com")
        (Redaction(kind='mail', start=5, end=20),)
    """
    _require_libraries()
    plain = fold(text)
    claimed = bytearray(len(plain.text))
    taken: list[Redaction] = []
    for kind, find in _FINDERS.items():
        for start, end in find(plain.text):
            if claimed.find(1, start, end) < 0:
                claimed[start:end] = b"\1" * (end - start)
                taken.append(Redaction(kind, *plain.span(start, end)))
    return tuple(sorted(taken, key=lambda found: found.start))


def _require_libraries() -> None:
    try:
        import phonenumbers  # noqa: F401, PLC0415
        import stdnum  # noqa: F401, PLC0415
    except ImportError as error:
        raise MissingExtraError(error.name or "phonenumbers", "language") from None


def _secrets(text: str) -> _Spans:
    yield from (found.span() for found in _SECRETS.finditer(text))
    yield from (found.span(1) for found in _NAMED_SECRETS.finditer(text))


def _mails(text: str) -> _Spans:
    if "@" in text or re.search(r"[\[(]\s{0,5}at\s{0,5}[\])]| at ", text, re.IGNORECASE):
        yield from (found.span() for found in _MAIL.finditer(text))


def _ibans(text: str) -> _Spans:
    from stdnum import iban  # noqa: PLC0415

    for found in _IBAN.finditer(text):
        # Words after the number may look like more of it: the longest valid beginning is the number.
        for end in range(found.end(), found.start() + 14, -1):
            if text[end - 1] not in " -" and iban.is_valid(text[found.start() : end]):
                yield found.start(), end
                break


def _cards(text: str) -> _Spans:
    from stdnum import luhn  # noqa: PLC0415

    for found in _CARD.finditer(text):
        digits = re.sub(r"[ -]", "", found.group())
        issued = any(len(digits) in lengths and re.match(begin, digits) for begin, lengths in _ISSUERS)
        if issued and luhn.is_valid(digits) and not _is_book(text, found.start()):
            yield found.span()


def _ids(text: str) -> _Spans:
    for found in _RESIDENT.finditer(text):
        if _is_resident(re.sub(r"[ -]", "", found.group()).upper()):
            yield found.span()
    for found in _SOCIAL.finditer(text):
        yield found.span(1) if found.group(1) else found.span()


def _is_resident(number: str) -> bool:
    from stdnum.cn import ric  # noqa: PLC0415
    from stdnum.exceptions import ValidationError  # noqa: PLC0415

    try:
        ric.get_birth_date(number)
    except ValidationError:
        return False
    # The counties are not looked up: the list of those that once were is not complete.
    return ric.calc_check_digit(number) == number[-1]


def _ips(text: str) -> _Spans:
    for found in _IP4.finditer(text):
        if _is_ip(found.group()) and not _VERSION_BEFORE.search(text[: found.start()][-16:]):
            yield found.span()
    yield from (found.span() for found in _IP6.finditer(text) if _is_ip(found.group()))


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _phones(text: str) -> _Spans:
    if sum(map(str.isdigit, text)) < _FEWEST_DIGITS_OF_A_PHONE:
        return
    yield from (found.span(1) for found in _NAMED_PHONE.finditer(text))
    for pattern in (_PLUS, _MOBILE_CN):
        for found in pattern.finditer(text):
            if not _is_book(text, found.start()):
                yield found.span()
    from phonenumbers import Leniency, PhoneNumberMatcher  # noqa: PLC0415

    # Grouped as the country groups its numbers: other ten digits are order numbers and dates.
    for region in ("US", "CN"):
        for match in PhoneNumberMatcher(text, region, Leniency.STRICT_GROUPING):
            if not _is_book(text, match.start):
                yield match.start, match.end


def _is_book(text: str, start: int) -> bool:
    return bool(_BOOK_BEFORE.search(text[max(0, start - _BOOK_BEFORE_CHARACTERS) : start]))


_FINDERS: Final[Mapping[PersonalKind, Callable[[str], _Spans]]] = {
    "secret": _secrets,
    "mail": _mails,
    "iban": _ibans,
    "card": _cards,
    "id": _ids,
    "ip": _ips,
    "phone": _phones,
}
