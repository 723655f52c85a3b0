"""From a bundle to answers."""

from motet.recommend._ahead import ItemsAhead
from motet.recommend._raw_rows import Moments
from motet.recommend._recommender import Recommender

__all__ = ["ItemsAhead", "Moments", "Recommender"]
