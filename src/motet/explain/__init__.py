"""Explanations whose every statement follows from evidence, and profiles of users."""

from motet.explain._attribution import Attribution, Attributor
from motet.explain._catalogue_tables import said_title
from motet.explain._claim import CLAIM_KINDS, Basis, Claim, ClaimKind, Language, Mention, Sentence, Tone
from motet.explain._evidence import EvidenceIndex, LastInteraction, RecentInteractions
from motet.explain._explainer import Description, Explainer, Explanation, Reason
from motet.explain._profile import Interest, LikedItem, Profile, ProfileSettings, Support, profile_sentences
from motet.explain._profiler import Profiler, wilson_interval
from motet.explain._sentences import SentenceProblem, check, check_sentence, rephrase
from motet.explain._slots import chinese_kind, supported_words
from motet.explain._sources import verify
from motet.explain._tastes import age_weights, false_discovery, population_of, tastes_of
from motet.explain._templates_en import ENGLISH_TEMPLATES
from motet.explain._templates_zh import CHINESE_TEMPLATES
from motet.explain._traits import Trait, Traits, is_sensitive, named_ranges, trait_words

__all__ = [
    "CHINESE_TEMPLATES",
    "CLAIM_KINDS",
    "ENGLISH_TEMPLATES",
    "Attribution",
    "Attributor",
    "Basis",
    "Claim",
    "ClaimKind",
    "Description",
    "EvidenceIndex",
    "Explainer",
    "Explanation",
    "Interest",
    "Language",
    "LastInteraction",
    "LikedItem",
    "Mention",
    "Profile",
    "ProfileSettings",
    "Profiler",
    "Reason",
    "RecentInteractions",
    "Sentence",
    "SentenceProblem",
    "Support",
    "Tone",
    "Trait",
    "Traits",
    "age_weights",
    "check",
    "check_sentence",
    "chinese_kind",
    "false_discovery",
    "is_sensitive",
    "named_ranges",
    "population_of",
    "profile_sentences",
    "rephrase",
    "said_title",
    "supported_words",
    "tastes_of",
    "trait_words",
    "verify",
    "wilson_interval",
]
