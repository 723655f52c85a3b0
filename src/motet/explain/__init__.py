"""Why, in words that are true: evidence, claims, sentences; and what is known of a user."""

from motet.explain._attribution import Attribution, Attributor
from motet.explain._catalogue_tables import said_title
from motet.explain._claim import CLAIM_KINDS, Basis, Claim, ClaimKind, Language, Mention, Sentence, Tone
from motet.explain._evidence import EvidenceIndex, Told
from motet.explain._explainer import Description, Explainer, Explanation, Reason
from motet.explain._profile import Interest, LikedItem, Profile, ProfileSettings, Support, profile_sentences
from motet.explain._profiler import Profiler
from motet.explain._sentences import Finding, check, check_sentence
from motet.explain._sources import verify
from motet.explain._traits import Trait

__all__ = [
    "CLAIM_KINDS",
    "Attribution",
    "Attributor",
    "Basis",
    "Claim",
    "ClaimKind",
    "Description",
    "EvidenceIndex",
    "Explainer",
    "Explanation",
    "Finding",
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
    "profile_sentences",
    "said_title",
    "verify",
]
