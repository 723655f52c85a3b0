"""Conformance suites for own components, and a toy world to run them on."""

from motet.testing._balancer import check_balancer
from motet.testing._generator import check_generator
from motet.testing._model import check_architecture, check_model
from motet.testing._postgres import PostgresServer
from motet.testing._predictor import check_predictor
from motet.testing._scripted import ScriptedGenerator
from motet.testing._sequence import check_sequence_encoder
from motet.testing._text import HashedWordsForTests, hashed_words_for_tests
from motet.testing._text_encoder import check_text_encoder
from motet.testing._toy import TOY_SEQUENCES, toy_dataset, toy_schema, toy_tables

__all__ = [
    "TOY_SEQUENCES",
    "HashedWordsForTests",
    "PostgresServer",
    "ScriptedGenerator",
    "check_architecture",
    "check_balancer",
    "check_generator",
    "check_model",
    "check_predictor",
    "check_sequence_encoder",
    "check_text_encoder",
    "hashed_words_for_tests",
    "toy_dataset",
    "toy_schema",
    "toy_tables",
]
