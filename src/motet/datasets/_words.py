"""The words of the synthetic worlds: one small vocabulary a topic."""

from __future__ import annotations

__all__ = ["TOPICS"]

TOPICS: dict[str, str] = {
    "sea": "sailing anchor harbour wave coral lighthouse tide salty reef dolphin captain shore",
    "mountain": "alpine summit glacier hiking rope ridge boulder snowy trail cabin valley peak",
    "kitchen": "baking oven skillet butter recipe whisk pastry roasted garlic spoon flour soup",
    "music": "guitar melody concert drum violin chorus jazz piano rhythm orchestra tune singer",
    "space": "orbit rocket lunar galaxy telescope comet astronaut stellar planet nebula mission star",
    "garden": "rose compost seedling blooming orchard pruning tulip hedge watering soil herb bee",
    "crime": "detective murder alibi heist forensic suspect noir witness verdict clue police thief",
    "sport": "football racket sprint coach stadium goal marathon champion team training medal ball",
    "history": "medieval empire castle ancient archive dynasty treaty roman museum sword king ruin",
    "craft": "knitting woollen sewing loom button leather handmade pottery quilt carving dye thread",
    "travel": "passport railway island hostel desert suitcase market temple journey map border city",
    "code": "compiler keyboard server database algorithm debugging network binary terminal pixel robot cloud",
}
"""Twelve words for each topic, divided by spaces."""
