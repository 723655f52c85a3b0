from ._batch import Batch, Batcher, EventSequences, Side
from ._behaviour import NEGATIVE_EVENTS, Behaviour, EventMeaning, EventMeanings, behaviour_of
from ._build import build_dataset
from ._catalogue import Catalogue, build_catalogue, catalogue_of
from ._check import DataReport, check_data
from ._containers import IdIndex, Ragged, as_strings, split_words
from ._dataset import Dataset, EntityTable, History, build_history
from ._encoder import Encoder, Layout, Scale, Vocabulary
from ._guesses import quoted
from ._in_training import TrainingRows, changed_text
from ._inspect import inspect_directory
from ._labels import SPLIT_CODES, Fold
from ._prepare import CleaningReport, Preparer, quoted_text, text_columns, used_columns
from ._raw import RawReader, RawTable, render, side_columns
from ._read import Frames, as_frame, as_tables, data_hash, read_table
from ._vectors import (
    ItemsToVectors,
    LinearReduction,
    Reduction,
    SparseCodes,
    TextToVectors,
    Whitening,
    fit_reduction,
    graph_features,
    known_items,
    read_reductions,
)

__all__ = [
    "NEGATIVE_EVENTS",
    "SPLIT_CODES",
    "Batch",
    "Batcher",
    "Behaviour",
    "Catalogue",
    "CleaningReport",
    "DataReport",
    "Dataset",
    "Encoder",
    "EntityTable",
    "EventMeaning",
    "EventMeanings",
    "EventSequences",
    "Fold",
    "Frames",
    "History",
    "IdIndex",
    "ItemsToVectors",
    "Layout",
    "LinearReduction",
    "Preparer",
    "Ragged",
    "RawReader",
    "RawTable",
    "Reduction",
    "Scale",
    "Side",
    "SparseCodes",
    "TextToVectors",
    "TrainingRows",
    "Vocabulary",
    "Whitening",
    "as_frame",
    "as_strings",
    "as_tables",
    "behaviour_of",
    "build_catalogue",
    "build_dataset",
    "build_history",
    "catalogue_of",
    "changed_text",
    "check_data",
    "data_hash",
    "fit_reduction",
    "graph_features",
    "inspect_directory",
    "known_items",
    "quoted",
    "quoted_text",
    "read_reductions",
    "read_table",
    "render",
    "side_columns",
    "split_words",
    "text_columns",
    "used_columns",
]
