"""Why, in words that are true: evidence, claims, sentences; and what is known of a user."""

from motet.explain._attribution import Attribution, Attributor
from motet.explain._check import Finding, check, check_sentence
from motet.explain._claim import CLAIM_KINDS, Basis, Claim, ClaimKind, Mention
from motet.explain._explainer import Explainer
from motet.explain._explanation import Description, Explanation, Reason
from motet.explain._ground import Ground
from motet.explain._grow import grown_ground
from motet.explain._profile import Interest, LikedItem, Profile, Support
from motet.explain._profile_settings import ProfileSettings
from motet.explain._profile_words import profile_sentences
from motet.explain._profiler import Profiler
from motet.explain._sentence import Sentence
from motet.explain._sources import verify
from motet.explain._titles import said_title
from motet.explain._told import Told
from motet.explain._tones import Language, Tone
from motet.explain._traits import Trait

__all__ = [
    "CLAIM_KINDS",
    "Attribution",
    "Attributor",
    "Basis",
    "Claim",
    "ClaimKind",
    "Description",
    "Explainer",
    "Explanation",
    "Finding",
    "Ground",
    "Interest",
    "Language",
    "LikedItem",
    "Mention",
    "Profile",
    "ProfileSettings",
    "Profiler",
    "Reason",
    "Sentence",
    "Support",
    "Told",
    "Tone",
    "Trait",
    "check",
    "check_sentence",
    "grown_ground",
    "profile_sentences",
    "said_title",
    "verify",
]
