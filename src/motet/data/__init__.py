"""Read, check, clean, encode, split, batch."""

from motet.data._account import Account, Finding
from motet.data._batch import Batch, Events, Side, Tags
from motet.data._batcher import Batcher
from motet.data._behaviour import (
    NEGATIVE_EVENTS,
    Behaviour,
    EventMeaning,
    EventMeanings,
    behaviour_of,
    liking,
)
from motet.data._build import build_dataset
from motet.data._catalogue import Catalogue, build_catalogue, catalogue_of
from motet.data._check import ColumnReport, DataReport, check_data
from motet.data._dataset import Dataset, EntityLabels, EntityTable
from motet.data._encoder import Encoder, Layout, Vocabulary
from motet.data._history import History
from motet.data._index import WordIndex, as_words
from motet.data._inspect import Inspection, inspect_directory
from motet.data._leaks import Leak
from motet.data._prepare import Preparer, quoted_text, text_columns, used_columns
from motet.data._ragged import Ragged, split_words
from motet.data._raw import RawReader, RawTable, render
from motet.data._read import Frames, as_frame, as_tables, read_table
from motet.data._scale import Scale, Whitening
from motet.data._sides import side_columns, side_fields
from motet.data._split import SPLIT_CODES
from motet.data._vectors import ItemsToVectors, TextToVectors, graph_features, known_items

__all__ = [
    "NEGATIVE_EVENTS",
    "SPLIT_CODES",
    "Account",
    "Batch",
    "Batcher",
    "Behaviour",
    "Catalogue",
    "ColumnReport",
    "DataReport",
    "Dataset",
    "Encoder",
    "EntityLabels",
    "EntityTable",
    "EventMeaning",
    "EventMeanings",
    "Events",
    "Finding",
    "Frames",
    "History",
    "Inspection",
    "ItemsToVectors",
    "Layout",
    "Leak",
    "Preparer",
    "Ragged",
    "RawReader",
    "RawTable",
    "Scale",
    "Side",
    "Tags",
    "TextToVectors",
    "Vocabulary",
    "Whitening",
    "WordIndex",
    "as_frame",
    "as_tables",
    "as_words",
    "behaviour_of",
    "build_catalogue",
    "build_dataset",
    "catalogue_of",
    "check_data",
    "graph_features",
    "inspect_directory",
    "known_items",
    "liking",
    "quoted_text",
    "read_table",
    "render",
    "side_columns",
    "side_fields",
    "split_words",
    "text_columns",
    "used_columns",
]
