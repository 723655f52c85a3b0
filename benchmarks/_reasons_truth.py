"""Reasons compared with the raw tables of MovieLens, by other code than the one that made them."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from motet.assistant.explain import Claim, Sentence
from motet.data import Batcher, History, Ragged
from motet.recommend import PrecomputedItems, Recommender
from motet.training import Bundle

_LATEST = 500  # events of a user that a bundle keeps
_BOTH_WAYS = {
    "film.film.directed_by": "film.director.film",
    "film.film.actor": "film.actor.film",
    "film.film.written_by": "film.writer.film",
    "film.film.produced_by": "film.producer.film",
    "film.film.cinematography": "film.cinematographer.film",
    "film.film.production_companies": "film.production_company.films",
    "film.film.genre": "film.film_genre.films_in_this_genre",
    "film.film.subjects": "film.film_subject.films",
    "film.film.rating": "film.content_rating.film",
    "film.film.prequel": "film.film.sequel",
    "film.film.sequel": "film.film.prequel",
}
_QUOTED = re.compile(r"[“《]([^”》]*)[”》]")
_NUMBER = re.compile(r"\d[\d,]*")


class Truth:
    """What the raw tables say.

    Args:
        directory: Of the tables.
        bundle: Its model says what is near and what moved a score; its ids say which row is which item.
    """

    def __init__(self, directory: Path, bundle: Bundle) -> None:
        self.bundle = bundle
        self.users = bundle.data.user_ids.to_list()
        self.item_ids = bundle.data.item_ids.to_list()
        items = pl.read_parquet(directory / "items.parquet").with_columns(pl.col("item_id").cast(pl.String))
        rows = {row["item_id"]: row for row in items.to_dicts()}
        self.genres = {i: set((rows.get(i, {}).get("genres") or "").split("|")) - {""} for i in self.item_ids}
        self.year: dict[str, int] = {
            i: rows.get(i, {}).get("year") or 0 for i in self.item_ids
        }  # 0: not known
        self.title = {i: rows.get(i, {}).get("title") or "" for i in self.item_ids}
        order = {i: n for n, i in enumerate(self.item_ids)}
        ratings = pl.read_parquet(directory / "ratings.parquet").with_columns(
            pl.col("user_id").cast(pl.String), pl.col("item_id").cast(pl.String)
        )
        ratings = ratings.with_columns(
            pl.col("item_id").replace_strict(order, return_dtype=pl.Int64).alias("row")
        ).sort("user_id", "timestamp", "row")
        ratings = ratings.group_by("user_id", maintain_order=True).tail(_LATEST)
        self.had: dict[str, set[str]] = defaultdict(set)
        self.liked: dict[str, set[str]] = defaultdict(set)
        self.likers: dict[str, set[str]] = defaultdict(set)
        for user, item, rating in ratings.select("user_id", "item_id", "rating").iter_rows():
            self.had[user].add(item)
            if rating >= 4:
                self.liked[user].add(item)
                self.likers[item].add(user)
        self.active = {user for user, liked in self.liked.items() if liked}
        self.triples: set[tuple[str, str, str]] = set()
        self.entity: dict[str, str] = {}
        if (directory / "knowledge.parquet").exists():
            self.triples = set(pl.read_parquet(directory / "knowledge.parquet").select("head", "relation", "tail").iter_rows())  # fmt: skip
            links = pl.read_parquet(directory / "links.parquet")
            self.entity = {
                str(item): entity for item, entity in links.select("item_id", "entity").iter_rows()
            }
        self.ahead: PrecomputedItems = Recommender(bundle).precomputed_items()
        placed = self._vectors()
        placed = placed - placed.mean(0)
        self.placed = placed / np.linalg.norm(placed, axis=1, keepdims=True)

    def _vectors(self) -> NDArray[np.float64]:
        """The item vectors of retrieval, all at once."""
        model, moment, n = self.bundle.model, self.ahead.context_rows, len(self.item_ids)
        assert model.retrieval is not None
        unknown_user, before = (
            np.zeros(n, np.int32),
            dict.fromkeys(self.bundle.data.histories, np.zeros(n, np.int32)),
        )
        batch = Batcher(moment.data).assemble(
            unknown_user, np.arange(n, dtype=np.int32), before, unknown_user.astype(np.int64), context=(moment.table, moment.scenario)
        )  # fmt: skip
        with torch.inference_mode():
            inputs = model.features(batch)
            vectors: NDArray[np.float64] = (
                model.retrieval.item(inputs.item, inputs.as_event)[0].double().numpy()
            )
        return vectors

    def right(self, sentence: Sentence) -> bool:
        """Whether the typed claim of a sentence is true, and its text holds its numbers and names."""
        return self.claim_is_true(sentence.claim) and self.text_is_true(sentence.text, sentence.claim)

    def text_is_true(self, text: str, claim: Claim) -> bool:
        """Whether names in a text are titles of the claim's items, and its numbers the claim's."""
        ids = {mention.key for mention in claim.mentions} | {self.item_ids[claim.item]}
        ids |= {i for i, entity in self.entity.items() if entity in ids}  # an entity that is an item
        titles = [re.findall(r"\w+", self.title.get(i, "").lower()) for i in ids]
        words = {mention.key.lower() for mention in claim.of("word")}
        for name in _QUOTED.findall(text):
            said = re.findall(r"\w+", name.lower())
            year = [str(self.year.get(i)) for i in ids]
            if name.lower() not in words and not any(all(w in (*t, *year) for w in said) for t in titles):
                return False
        rest = _QUOTED.sub(" ", text)
        numbers = {str(int(value)) for _, value in claim.numbers}
        if claim.kind == "number":
            low = int(claim.number("low"))
            numbers |= {str(low // 100 + 1), str(low % 100)}
        return all(number.replace(",", "") in numbers for number in _NUMBER.findall(rest))

    def claim_is_true(self, claim: Claim) -> bool:
        """Whether a claim follows from the raw tables."""
        item = self.item_ids[claim.item]
        user = self.users[claim.user] if claim.user >= 0 else ""
        liked, had = self.liked[user] - {item}, self.had[user] - {item}
        tags = {mention.key for mention in claim.of("tag")}
        named = [mention.key for mention in claim.of("liked")]
        if not set(named) <= liked:
            return False
        n = dict(claim.numbers)
        if claim.kind in ("tags", "rate"):
            mine = {i for i in liked if tags <= self.genres[i]}
            if not tags <= self.genres[item] or len(mine) != n["found"]:
                return False
            if claim.kind == "tags":
                share = sum(tags <= genres for genres in self.genres.values()) / len(self.genres)
                return n["of"] == len(liked) and n["times"] <= len(mine) / len(liked) / share + 1e-9
            tried = [i for i in had if tags <= self.genres[i]]
            share = len(mine) / len(tried)
            return n["of"] == len(tried) and (share >= 0.6 if claim.polarity else share <= 0.35)
        if claim.kind == "others":
            crowd = self.likers[named[0]] - {user}
            both = crowd & self.likers[item]
            usual = len(self.likers[item] - {user}) / len(self.active - {user})
            return (len(both), len(crowd)) == (n["found"], n["of"]) and n["times"] <= len(both) / len(
                crowd
            ) / usual + 1e-9
        if claim.kind == "popular":
            counts = sorted((len(self.likers[i]) for i in self.item_ids), reverse=True)
            fits = not n["top"] or counts[int(n["top"]) - 1] <= len(self.likers[item])
            return bool(n["found"] == len(self.likers[item]) and fits)
        if claim.kind == "number":
            decade = self.year[item] // 10 * 10
            mine = {i for i in liked if self.year[i] // 10 * 10 == decade}
            return (n["low"], n["found"], n["of"]) == (decade, len(mine), len(liked))
        if claim.kind == "words":
            words = [mention.key for mention in claim.of("word")]
            return all(
                re.search(rf"(?i)\b{re.escape(w)}", self.title[i]) for w in words for i in (item, *named)
            )
        if claim.kind == "fact":
            return self._fact(claim, item, named)
        if claim.kind == "says":
            here = self.entity.get(item)
            back = _BOTH_WAYS.get(claim.relation, "")
            return all(
                {(here, claim.relation, m.key), (m.key, back, here)} & self.triples
                for m in claim.of("entity")
            )
        if claim.kind == "is":
            years = {value for _, value in claim.numbers}
            return tags <= self.genres[item] and years <= {self.year[item]}
        if claim.kind in ("near", "similar"):
            rows = [self.item_ids.index(mention.key) for mention in claim.mentions]
            cosines = self.placed @ self.placed[claim.item]
            cosines[claim.item] = -np.inf
            if self.bundle.blend is not None and claim.kind == "near":  # said of what raised the score alone
                falls = self._falls(user, claim.item, set(named))
                if any(falls.get(i, 0.0) <= 0 for i in named):
                    return False
            return all(int((cosines > cosines[row] + 1e-6).sum()) < n["within"] for row in rows)
        if claim.kind == "moved":
            return self._moved(claim, user, item, liked, named)
        raise ValueError(f"there is no check of {claim.kind}")

    def _fact(self, claim: Claim, item: str, named: list[str]) -> bool:
        back = _BOTH_WAYS.get(claim.relation, "")

        def holds(subject: str | None, entity: str | None) -> bool:
            pair = subject or "", entity or ""
            forward, reverse = (pair[0], claim.relation, pair[1]), (pair[1], back, pair[0])
            return forward in self.triples or reverse in self.triples

        here = self.entity.get(item)
        shared = claim.of("entity")
        if not shared:
            return all(holds(here, self.entity.get(i)) for i in named)
        return all(holds(self.entity.get(i), shared[0].key) for i in (item, *named))

    def _moved(self, claim: Claim, user: str, item: str, liked: set[str], named: list[str]) -> bool:
        """Whether the score falls furthest without the items named, and as far as said."""
        falls = self._falls(user, claim.item, liked)
        as_said = all(
            abs(falls.get(i, -math.inf) - weight) < 1e-3
            for i, weight in zip(named, claim.support.weights, strict=True)
        )
        return as_said and _furthest(falls, named)

    def names_most(self, claim: Claim) -> bool:
        """Whether a claim ``moved`` names the items without which the served score falls furthest, however far."""
        user, item = self.users[claim.user], self.item_ids[claim.item]
        falls = self._falls(user, claim.item, self.liked[user] - {item})
        return _furthest(falls, [mention.key for mention in claim.of("liked")])

    def _falls(self, user: str, item: int, liked: set[str]) -> dict[str, float]:
        """How far the served score falls without each liked item that it goes by: the recommender's own path, one event less."""
        data, found, blend = self.bundle.data, self.bundle.found, self.bundle.blend
        place = self.users.index(user)

        def of_user(lists: Ragged, length: int) -> NDArray[np.int32]:
            start = lists.offsets[place]
            return lists.values[start : start + length]

        had = of_user(found, found.lengths()[place]) if len(found) else found.values

        def score(gone: str | None) -> float:
            row = self.item_ids.index(gone) if gone else -1
            histories = {}
            for name, history in data.histories.items():
                start, stop = history.items.offsets[place : place + 2]
                mine = of_user(history.items, history.known[place])
                mine = mine[mine != row]
                rest = history.items.values[stop:]
                values = np.concatenate([history.items.values[:start], mine, rest])
                lengths = np.diff(history.items.offsets)
                known = history.known.copy()
                lengths[place] = known[place] = len(mine)
                histories[name] = History(
                    Ragged.from_lengths(values, lengths), history.before, known, history.train
                )
            with torch.inference_mode():
                network = self.ahead.retrieve(replace(data, histories=histories), place).numpy()
            if blend is None:
                return float(network[item])
            less = had[had != row]
            return float(
                blend.scores(network[None], Ragged.from_lengths(less, np.array([len(less)])))[0, item]
            )

        whole = score(None)
        rows = [of_user(history.items, history.known[place]) for history in data.histories.values()]
        rows += [had] if blend is not None else []
        seen = {self.item_ids[row] for row in np.concatenate(rows)} if rows else set()
        return {i: whole - score(i) for i in liked & seen}


def _furthest(falls: dict[str, float], named: list[str]) -> bool:
    lowest = min(falls.get(i, -math.inf) for i in named)
    rest = [fall for i, fall in falls.items() if i not in named]
    return lowest > 0 and lowest >= max(rest, default=-math.inf) - 1e-4
