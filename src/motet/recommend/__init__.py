"""From a bundle to answers."""

from motet.recommend._ahead import ItemsAhead
from motet.recommend._by_text import Signals, TextRecommender, TextWeights, recommend_by_text
from motet.recommend._fit_text import fit_text_weights
from motet.recommend._meaning import MeaningIndex
from motet.recommend._mentions import MentionReader, Mentions
from motet.recommend._raw_rows import Moments
from motet.recommend._recommender import Recommender

__all__ = [
    "ItemsAhead",
    "MeaningIndex",
    "MentionReader",
    "Mentions",
    "Moments",
    "Recommender",
    "Signals",
    "TextRecommender",
    "TextWeights",
    "fit_text_weights",
    "recommend_by_text",
]
