from ._attribution import Attributor
from ._catalogue_tables import said_title
from ._claim import Claim, Language, Mention, Sentence, Tone
from ._evidence import EvidenceIndex, RecentInteractions
from ._explainer import Description, Explainer, Explanation, Reason
from ._profile import Interest, ProfileSettings, profile_sentences
from ._profiler import Profiler, wilson_interval
from ._sentences import check_sentence, rephrase
from ._sources import verify
from ._tastes import false_discovery, population_of, tastes_of
from ._templates_en import ENGLISH_TEMPLATES
from ._templates_zh import CHINESE_TEMPLATES
from ._traits import Trait, Traits, is_sensitive, named_ranges, trait_words

__all__ = [
    "CHINESE_TEMPLATES",
    "ENGLISH_TEMPLATES",
    "Attributor",
    "Claim",
    "Description",
    "EvidenceIndex",
    "Explainer",
    "Explanation",
    "Interest",
    "Language",
    "Mention",
    "ProfileSettings",
    "Profiler",
    "Reason",
    "RecentInteractions",
    "Sentence",
    "Tone",
    "Trait",
    "Traits",
    "check_sentence",
    "false_discovery",
    "is_sensitive",
    "named_ranges",
    "population_of",
    "profile_sentences",
    "rephrase",
    "said_title",
    "tastes_of",
    "trait_words",
    "verify",
    "wilson_interval",
]
