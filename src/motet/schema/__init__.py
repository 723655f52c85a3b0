"""What the data and the tasks are, in one typed file; YAML in and out."""

import importlib
import typing

from motet.schema._base import Part, in_order, nearest, require_known
from motet.schema._catalogue import (
    LANGUAGES,
    CatalogueSettings,
    Language,
    are_years,
    article_first,
    is_chinese,
    split_article,
)
from motet.schema._explain import ExplainSettings
from motet.schema._expressions import check_expression, expression_columns, parse_expression
from motet.schema._features import (
    AnyFeature,
    Cells,
    ColumnSink,
    EventSettings,
    Feature,
    Parts,
    template_fields,
)
from motet.schema._knowledge import KnowledgeSettings
from motet.schema._predictor import EntityPredictor, Predictor
from motet.schema._progress import Progress, silent
from motet.schema._registry import (
    FEATURE_KINDS,
    SEQUENCE_ENCODERS,
    TASK_KINDS,
    TEXT_ENCODERS,
    Registry,
    register_kind,
)
from motet.schema._schema import ENTITIES, Entity, Features, Keys, Schema, Tables, table_of
from motet.schema._settings import (
    CleanSettings,
    LanguageSettings,
    ModelSettings,
    ObjectiveSettings,
    SplitSettings,
    TrainingSettings,
)
from motet.schema._tasks import AnyTask, LabelSink, LabelStatistics, Task, TaskText

if typing.TYPE_CHECKING:  # the kinds are reached by name; see __getattr__
    from motet.kinds import (
        BinaryTask,
        CategoricalFeature,
        IdFeature,
        MulticlassTask,
        MultilabelTask,
        NumericFeature,
        RegressionTask,
        RetrievalTask,
        SequenceFeature,
        TagsFeature,
        TextFeature,
        TimeFeature,
        VectorFeature,
        positive_weight,
    )

__all__ = [
    "ENTITIES",
    "FEATURE_KINDS",
    "LANGUAGES",
    "SEQUENCE_ENCODERS",
    "TASK_KINDS",
    "TEXT_ENCODERS",
    "AnyFeature",
    "AnyTask",
    "BinaryTask",
    "CatalogueSettings",
    "CategoricalFeature",
    "Cells",
    "CleanSettings",
    "ColumnSink",
    "Entity",
    "EntityPredictor",
    "EventSettings",
    "ExplainSettings",
    "Feature",
    "Features",
    "IdFeature",
    "Keys",
    "KnowledgeSettings",
    "LabelSink",
    "LabelStatistics",
    "Language",
    "LanguageSettings",
    "ModelSettings",
    "MulticlassTask",
    "MultilabelTask",
    "NumericFeature",
    "ObjectiveSettings",
    "Part",
    "Parts",
    "Predictor",
    "Progress",
    "Registry",
    "RegressionTask",
    "RetrievalTask",
    "Schema",
    "SequenceFeature",
    "SplitSettings",
    "Tables",
    "TagsFeature",
    "Task",
    "TaskText",
    "TextFeature",
    "TimeFeature",
    "TrainingSettings",
    "VectorFeature",
    "are_years",
    "article_first",
    "check_expression",
    "expression_columns",
    "in_order",
    "is_chinese",
    "nearest",
    "parse_expression",
    "positive_weight",
    "register_kind",
    "require_known",
    "silent",
    "split_article",
    "table_of",
    "template_fields",
]

_OF_KINDS = (
    *("BinaryTask", "CategoricalFeature", "IdFeature", "MulticlassTask", "MultilabelTask", "NumericFeature"),
    *("RegressionTask", "RetrievalTask", "SequenceFeature", "TagsFeature", "TextFeature", "TimeFeature"),
    *("VectorFeature", "positive_weight"),
)


def __getattr__(name: str) -> typing.Any:
    """The built-in kinds under the names they have here too, imported when they are asked for."""
    if name in _OF_KINDS:
        found = globals()[name] = getattr(importlib.import_module("motet.kinds"), name)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
