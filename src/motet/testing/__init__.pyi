from ._generators import ScriptedGenerator, check_generator
from ._model import check_architecture, check_model
from ._postgres import PostgresServer
from ._suites import check_balancer, check_predictor, check_sequence_encoder, check_text_encoder
from ._toy import HashedWordsForTests, hashed_words_for_tests, toy_dataset, toy_schema, toy_tables

__all__ = [
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
