"""Settings: how data is cleaned and split, and how the model is built and trained."""

from __future__ import annotations

import codecs
import re
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field, field_validator, model_validator

from motet.schema._base import TEXT_ENCODERS, Part, nearest
from motet.schema._features import GateSettings

__all__ = [
    "ARTICLES",
    "LANGUAGES",
    "CatalogueSettings",
    "CleanSettings",
    "ExplainSettings",
    "KnowledgeSettings",
    "Language",
    "LanguageSettings",
    "ModelSettings",
    "ObjectiveSettings",
    "SplitSettings",
    "Tables",
    "TrainingSettings",
    "are_years",
    "article_first",
    "is_chinese",
    "split_article",
]


class Tables(Part):
    """Files of the data directory: CSV, TSV, other text, JSON lines or Parquet, or a folder or pattern of parts.

    Attributes:
        interactions: Table of the interactions.
        users: Table of the users, a row each.
        items: Table of the items, a row each.
        encoding: Of CSV and TSV files that are not UTF-8, such as ``latin-1``; such files are errors when left out.
        quote: Quote character of CSV and TSV files, or ``none`` if quotes are plain characters; one for
            all tables, or by table: ``{items.csv: none}``. A double quote when left out.
        separator: Characters between the cells of text files; one for all tables, or by table:
            ``{ratings.dat: "::"}``. A comma in ``.csv`` and a tab in other text files when left out.
        columns: Names of the columns of text files without a header, by table:
            ``{ratings.dat: [user, item, rating, time]}``.
        json_columns: Columns whose cells are JSON, read from text: a list is read as tags, and an object gives a column
            for each of its fields, ``labels_topic`` for the field ``topic`` of ``labels``.
    """

    interactions: str
    users: str | None = None
    items: str | None = None
    encoding: str | None = None
    quote: str | dict[str, str] | None = None
    separator: str | dict[str, str] | None = None
    columns: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    json_columns: tuple[str, ...] = ()

    def separator_of(self, name: str) -> str | None:
        """The separator that is set for a table."""
        return self.separator.get(name) if isinstance(self.separator, dict) else self.separator

    def says_quote(self, name: str) -> bool:
        """Whether a quote character is set for a table."""
        return name in self.quote if isinstance(self.quote, dict) else self.quote is not None

    @field_validator("separator")
    @classmethod
    def _separator_is_short(cls, value: str | dict[str, str] | None) -> str | dict[str, str] | None:
        for separator in value.values() if isinstance(value, dict) else [] if value is None else [value]:
            if not 0 < len(separator) <= 4 or "\n" in separator or '"' in separator:
                raise ValueError(
                    f"the separator {separator!r} is not one to four characters. Cure: give one such as ';' or '::'"
                )
        return value

    @field_validator("columns")
    @classmethod
    def _columns_differ(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for name, columns in value.items():
            twice = [column for column in columns if columns.count(column) > 1 or not column.strip()]
            if twice or not columns:
                raise ValueError(
                    f"the columns of {name} have no name or one that stands twice ({twice[:1]}). "
                    "Cure: give each column a name of its own"
                )
        return value

    @field_validator("encoding")
    @classmethod
    def _encoding_is_known(cls, value: str | None) -> str | None:
        try:
            if value is not None:
                codecs.lookup(value)
        except LookupError:
            known = ("utf-8", "utf-16", "latin-1", "cp1252", "gb18030", "big5", "shift_jis", "euc_kr")
            raise ValueError(
                f"the encoding '{value}' is not known. Cure: {nearest(value or '', known)}"
            ) from None
        return value

    @field_validator("quote")
    @classmethod
    def _quote_is_one_character(cls, value: str | dict[str, str] | None) -> str | dict[str, str] | None:
        for quote in value.values() if isinstance(value, dict) else [] if value is None else [value]:
            if quote != "none" and (len(quote) != 1 or not quote.isascii() or quote.isspace()):
                raise ValueError(
                    f"the quote {quote!r} is not one character. Cure: give one such as '\"', or none"
                )
        return value


class CleanSettings(Part):
    """What to do with rows that are wrong. Whatever is done is counted and reported.

    Attributes:
        duplicates: Interactions of the same user, item, scenario and time: keep the ``last`` or the
            ``first`` read, or ``keep`` all. Only tables with user, item and time keys are searched.
        duplicate_keys: Two rows of a user or item table with one key: ``error``, or take ``first``
            or ``last``.
        unparseable: A cell that is not the number or time it should be: ``error``, or ``null`` to
            treat it as missing.
    """

    duplicates: Literal["last", "first", "keep"] = "last"
    duplicate_keys: Literal["error", "first", "last"] = "error"
    unparseable: Literal["error", "null"] = "error"

    @field_validator("unparseable", mode="before")
    @classmethod
    def _null_is_a_word(cls, value: object) -> object:
        """YAML reads an unquoted null as nothing at all."""
        return "null" if value is None else value


class SplitSettings(Part):
    """Which rows are for training, validation and test.

    Attributes:
        by: ``user_time`` orders each user's rows by (time, item); ``time`` orders all rows;
            ``random`` is by seeded draw; ``column`` reads ``train``/``validation``/``test``.
        train: Share of rows for training.
        validation: Share of rows for validation; the rest is the test.
        column: The column of ``by: column``.
        hold_out_items: Share of items taken out of training and validation, so that the test
            holds items never seen; a seeded draw.
        seed: Seed of random draws; the training seed does not change the split.
    """

    by: Literal["user_time", "time", "random", "column"] = "time"
    train: float = Field(0.8, gt=0, lt=1)
    validation: float = Field(0.1, gt=0, lt=1)
    column: str | None = None
    hold_out_items: float = Field(0.0, ge=0, lt=1)
    seed: int = 0

    @model_validator(mode="after")
    def _adds_up(self) -> SplitSettings:
        if self.train + self.validation >= 1:
            raise ValueError("train + validation must leave a share for the test. Cure: lower one of the two")
        if (self.by == "column") != (self.column is not None):
            cure = (
                "name the column in split.column"
                if self.by == "column"
                else "remove 'column', or set 'by: column'"
            )
            raise ValueError(f"'column' goes with 'by: column', and only with it. Cure: {cure}")
        return self


class LanguageSettings(Part):
    """Which language models turn text into vectors, and write text.

    Attributes:
        encoder: ``all-MiniLM-L6-v2`` (packaged), a hub id, a local folder, or the model name of
            an endpoint.
        backend: ``ctranslate2`` (8 bits, fastest on CPUs), ``torch`` (the weights as they are), or
            ``endpoint`` (OpenAI-compatible).
        endpoint: Base address of the endpoint, ``http://…/v1``; its key is read from
            ``MOTET_EMBEDDINGS_KEY``.
        max_tokens: Longer texts are cut.
        batch_size: Texts a call.
        generator: ``SmolLM2-135M-Instruct`` (packaged), a hub id, a local folder, the model name of
            an endpoint, or ``none`` for no generated text: templates say everything then.
        generator_backend: ``local`` (in this process), or ``endpoint`` (OpenAI-compatible).
        generator_endpoint: Base address of that endpoint, ``http://…/v1``; its key is read from
            ``MOTET_LLM_KEY``.
        generator_seconds: Longest time of a call, loading included; 0 for none at all.
    """

    encoder: str = "all-MiniLM-L6-v2"
    backend: str = "ctranslate2"
    endpoint: str | None = None
    max_tokens: int = Field(128, ge=8, le=8192)
    batch_size: int = Field(64, ge=1, le=4096)
    generator: str = "SmolLM2-135M-Instruct"
    generator_backend: Literal["local", "endpoint"] = "local"
    generator_endpoint: str | None = None
    generator_seconds: float = Field(60.0, ge=0)

    @field_validator("backend")
    @classmethod
    def _backend_is_known(cls, value: str) -> str:
        if value not in TEXT_ENCODERS:
            raise ValueError(f"the backend '{value}' is not known. Cure: {nearest(value, TEXT_ENCODERS)}")
        return value

    @model_validator(mode="after")
    def _endpoint_has_an_address(self) -> LanguageSettings:
        for backend, endpoint in (("backend", "endpoint"), ("generator_backend", "generator_endpoint")):
            if (getattr(self, backend) == "endpoint") != (getattr(self, endpoint) is not None):
                missing = getattr(self, endpoint) is None
                cure = (
                    f"name its address in language.{endpoint}"
                    if missing
                    else f"set 'language: {{{backend}: endpoint}}'"
                )
                raise ValueError(
                    f"'{endpoint}' goes with '{backend}: endpoint', and only with it. Cure: {cure}"
                )
        return self


class ModelSettings(Part):
    """The shape of the model.

    Attributes:
        architecture: Name in the table of architectures.
        width: Width d of every embedding.
        vector_width: Width that text and other vectors are projected to.
        retrieval_width: Width of the user and item vectors of retrieval tasks.
        dropout: Share of hidden units dropped in training.
        id_dropout: Share of ids replaced by "unknown" in training, so that content alone works;
            events of sequences included.
        scenario_gate: Scale each task's representation by scenario (PPNet, Chang et al. 2023, eq. 5–7).
        feature_gates: How a gate of each feature is learnt, such as ``{penalty: 0.01}``; none are when left out.
        members: Plain methods that may work beside the network, weighed on validation rows: ``ease``, ``item_knn``,
            ``als``, ``text_neighbours`` and ``recent_popularity`` rank the catalogue, ``like_ratio``, ``lightgbm``, ``tfidf`` and
            ``hybrid_mf`` predict tasks; all when left out, none for an empty list.
        options: Options of the architecture itself.
    """

    architecture: str = "ple"
    width: int = Field(32, ge=1)
    vector_width: int = Field(32, ge=1)
    retrieval_width: int = Field(64, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    id_dropout: float = Field(0.1, ge=0, lt=1)
    scenario_gate: bool = True
    feature_gates: GateSettings | None = None
    members: tuple[str, ...] | None = None
    options: dict[str, Any] = Field(default_factory=dict)


class ObjectiveSettings(Part):
    """How the losses of the tasks become one step.

    Attributes:
        balancer: ``fixed`` (the tasks' weights), or one that ``motet models`` lists.
        balancer_options: Options of the balancer itself.
    """

    balancer: str = "fixed"
    balancer_options: dict[str, Any] = Field(default_factory=dict)


_STEPS, _FEWEST_ROWS, _MOST_ROWS = 50, 16, 2048


class TrainingSettings(Part):
    """The training loop.

    Attributes:
        optimizer: ``adam``, ``adamw`` or ``adagrad``; embedding rows take the same rule, row by row.
        learning_rate: Highest learning rate.
        embedding_rate: Learning rate of embedding rows, as a multiple of ``learning_rate``.
        matmul: Matrix products in ``float32``, or ``bf16`` (factors rounded, sums in float32): faster with AMX, else slower.
        schedule: ``constant``, or ``cosine`` / ``linear`` decay to zero over ``epochs``.
        warmup: Share of all steps during which the rate rises from zero.
        weight_decay: Decoupled decay (AdamW) or L2 added to the gradient (Adam, Adagrad).
        embedding_l2: L2 on the embedding rows of each batch.
        l1: L1 on dense weights.
        clip_norm: Largest global norm of the dense gradients; 0 turns clipping off.
        batch_size: Rows a step; when left out, the power of two that gives at least fifty steps a pass, 16 to 2,048.
        epochs: Passes over the training rows, at the most.
        patience: Validations without a better score before training stops.
        validations_per_epoch: How often the score is taken.
        time_limit_s: Seconds for a run of ``motet train`` in all; the best weights so far are kept. 0 for none.
        bag: Networks with the seeds s, s + 1, … that are trained on the same rows, and whose answers are averaged.
        blend_checkpoints: Whether the last weights may answer beside the best, where a task gains by it.
        branch: Whether a network of its own may answer beside the shared one, where a task loses by sharing.
        refit: Whether network and plain members learn from the validation rows too, once all is chosen on them.
        checkpoint_s: Seconds between checkpoints within an epoch.
        seed: Seed of weights, order and dropout.
    """

    optimizer: Literal["adam", "adamw", "adagrad"] = "adamw"
    learning_rate: float = Field(3e-3, gt=0)
    embedding_rate: float = Field(1.0, gt=0)
    matmul: Literal["float32", "bf16"] = "float32"
    schedule: Literal["constant", "cosine", "linear"] = "cosine"
    warmup: float = Field(0.05, ge=0, lt=1)
    weight_decay: float = Field(1e-4, ge=0)
    embedding_l2: float = Field(0.0, ge=0)
    l1: float = Field(0.0, ge=0)
    clip_norm: float = Field(5.0, ge=0)
    batch_size: int | None = Field(None, ge=1)
    epochs: int = Field(20, ge=1)
    patience: int = Field(3, ge=1)
    validations_per_epoch: int = Field(1, ge=1)
    time_limit_s: float = Field(0.0, ge=0)
    bag: int = Field(1, ge=1, le=64)
    blend_checkpoints: bool = True
    branch: bool = False
    refit: bool = True
    checkpoint_s: float = Field(60.0, gt=0)
    seed: int = Field(0, ge=0)

    def rows_a_step(self, rows: int) -> int:
        """``batch_size``, or what it is for a number of training rows when left out.

        Example:
            >>> TrainingSettings().rows_a_step(12_800), TrainingSettings(batch_size=64).rows_a_step(12_800)
            (256, 64)
        """
        if self.batch_size is not None:
            return self.batch_size
        fitting = 1 << max(rows // _STEPS, 1).bit_length() - 1
        return min(max(fitting, _FEWEST_ROWS), _MOST_ROWS)


# Names of items, tags and categories in each language; titles with their articles, years.

Language: TypeAlias = Literal["en", "zh"]
"""A language that motet reads and writes."""
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
"""All of them, the default first."""

_HAN: Final = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_ARTICLES: Final = "The|A|An|Il|La|Le|Les|L'|Lo|I|Gli|El|Los|Las|Der|Die|Das|Un|Une|En|Det|Den|De|Het|O|Os|As"
_ARTICLE_LAST: Final = re.compile(rf"^(?P<rest>.+), (?P<article>{_ARTICLES})$", re.IGNORECASE)
ARTICLES: Final = frozenset(word.lower().rstrip("'") for word in _ARTICLES.split("|"))
"""Articles of titles, in lower case and without apostrophes."""

_FIRST_YEAR, _LAST_YEAR = 1800, 2100


class CatalogueSettings(Part):
    """The words for items, their columns and their values, for requests and reasons.

    Attributes:
        title: Column of the items table that names an item; found by its name, or as the first
            column of the first text feature, when left out.
        columns: What a column of the items table is called, by language:
            ``{year: {en: year of release, zh: 上映年份}}``. Columns that no feature uses may be
            named too: requests can then ask for them, though no model sees them.
        words: Other ways to say a tag or category, by language:
            ``{Comedy: {en: [funny, comedies], zh: [喜剧, 搞笑]}}``. The first of a language is
            used to say it.
        image: Column of the items table with the picture of an item, for pages: the name of a file, or an address.
        price: Column of the items table with the price of an item, a number.
        currency: Currency of the prices, three letters of ISO 4217 such as ``EUR``; prices are plain numbers
            when left out.
    """

    title: str | None = None
    columns: dict[str, dict[str, str]] = Field(default_factory=dict)
    words: dict[str, dict[str, tuple[str, ...]]] = Field(default_factory=dict)
    image: str | None = Field(None, min_length=1)
    price: str | None = Field(None, min_length=1)
    currency: str | None = Field(None, pattern=r"^[A-Z]{3}$")


def is_chinese(text: str) -> bool:
    """Whether a text is to be read and answered in Chinese: it holds a Chinese character.

    Example:
        >>> is_chinese("来一部轻松的 comedy"), is_chinese("une comédie")
        (True, False)
    """
    return _HAN.search(text) is not None


def split_article(title: str) -> tuple[str, str] | None:
    """The article that a catalogue writes behind a title, and the title without it; None where it writes none there.

    Example:
        >>> split_article("Usual Suspects, The"), split_article("Heat")
        (('The', 'Usual Suspects'), None)
    """
    found = _ARTICLE_LAST.match(title)
    return None if found is None else (found["article"], found["rest"])


def article_first(title: str) -> str:
    """A title with its article in front, as people say it.

    Example:
        >>> article_first("Usual Suspects, The"), article_first("Avventura, L'"), article_first("Me, Myself & Irene")
        ('The Usual Suspects', "L'Avventura", 'Me, Myself & Irene')
    """
    parts = split_article(title)
    if parts is None:
        return title
    return parts[0] + ("" if parts[0].endswith("'") else " ") + parts[1]


def are_years(numbers: ArrayLike) -> bool:
    """Whether the known numbers of a column are years: whole, from 1800 to 2100, and not all the same.

    Example:
        >>> are_years([1994, 1995, None]), are_years([4.5, 1995]), are_years([90, 110]), are_years([2000, 2000])
        (True, False, False, False)
    """
    values = np.asarray(numbers, np.float64)
    values = values[~np.isnan(values)]
    if not len(values) or (values != values.round()).any():
        return False
    return bool(_FIRST_YEAR <= values.min() < values.max() <= _LAST_YEAR)


class ExplainSettings(Part):
    """The words of reasons, and what they may mention.

    Attributes:
        noun: What an item is, by language: one and several, ``{en: [film, films]}``; in Chinese the
            measure word and the noun, ``{zh: [部, 电影]}``;
            "item" and 件商品 when left out.
        liked: What users did who liked an item, by language, in the past: ``{en: bought, zh: 买过}``;
            by the name of the task when left out.
        had: What they did with an item whatever came of it: ``{en: rated, zh: 评过分}``;
            "tried" and 试过 when left out.
        mention: Categories of users that reasons may speak of, such as ``occupation``; no reason
            says anything of a user's features when left out.
    """

    noun: dict[str, tuple[str, str]] = Field(default_factory=dict)
    liked: dict[str, str] = Field(default_factory=dict)
    had: dict[str, str] = Field(default_factory=dict)
    mention: tuple[str, ...] = ()


class KnowledgeSettings(Part):
    """Facts about items, from a table of triples.

    Attributes:
        triples: Table with the columns ``head``, ``relation`` and ``tail``; CSV, TSV or Parquet.
        links: Table with the item key column and ``entity``: which entity an item is. Without it, an
            item's key is its entity.
        names: Table with the columns ``entity`` and ``name``; entities without one stay unnamed.
        relations: Words of a relation, per language: ``directed_by: {en: directed by, zh: 导演}``.
        inverses: Relations that say the same as another from the other side; those whose reversed
            pairs equal another's are found without being named.
        hide: Per task, the relations that give its label away; the graph's vectors are made without
            them, unless the task hides the vectors as a whole.
        vectors: How items get vectors from the graph: ``transe`` (Bordes et al. 2013), ``distmult``
            (Yang et al. 2015), ``lightgcn`` (He et al. 2020; over the training rows and the graph),
            ``gat`` (Veličković et al. 2018), or not at all.
        width: Width of these vectors.
        epochs: Passes over the facts (for ``lightgcn`` over the training rows too).
        seed: Seed of the vectors; the training seed does not change them.
    """

    triples: str
    links: str | None = None
    names: str | None = None
    relations: dict[str, dict[str, str]] = Field(default_factory=dict)
    inverses: dict[str, str] = Field(default_factory=dict)
    hide: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    vectors: Literal["none", "transe", "distmult", "lightgcn", "gat"] = "none"
    width: int = Field(32, ge=2, le=1024)
    epochs: int = Field(30, ge=1)
    seed: int = Field(0, ge=0)

    @field_validator("relations")
    @classmethod
    def _words_are_there(cls, value: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        for relation, words in value.items():
            for language, text in words.items():
                if not text.strip():
                    raise ValueError(
                        f"'{relation}' has no words in '{language}'. Cure: write them, or leave the language out"
                    )
        return value

    @field_validator("inverses")
    @classmethod
    def _no_chains(cls, value: dict[str, str]) -> dict[str, str]:
        for relation, other in value.items():
            if other in value and other != relation:
                raise ValueError(
                    f"'{relation}' is the inverse of '{other}', which is an inverse itself. "
                    "Cure: name each pair once"
                )
        return value
