"""What the data and the tasks are, in one typed file; YAML in and out."""

from motet.schema._base import Part, nearest, require_known
from motet.schema._catalogue import CatalogueSettings
from motet.schema._explain import ExplainSettings
from motet.schema._expressions import expression_columns, parse_expression
from motet.schema._features import (
    AnyFeature,
    CategoricalFeature,
    Feature,
    IdFeature,
    NumericFeature,
    SequenceFeature,
    TagsFeature,
    TextFeature,
    TimeFeature,
    VectorFeature,
    template_fields,
)
from motet.schema._knowledge import KnowledgeSettings
from motet.schema._predictor import EntityPredictor, Predictor
from motet.schema._progress import Progress, silent
from motet.schema._schema import ENTITIES, Entity, Features, Keys, Schema, Tables, table_of
from motet.schema._settings import (
    CleanSettings,
    LanguageSettings,
    ModelSettings,
    ObjectiveSettings,
    SplitSettings,
    TrainingSettings,
)
from motet.schema._tasks import (
    AnyTask,
    BinaryTask,
    MulticlassTask,
    MultilabelTask,
    RegressionTask,
    RetrievalTask,
    Task,
    positive_weight,
)

__all__ = [
    "ENTITIES",
    "AnyFeature",
    "AnyTask",
    "BinaryTask",
    "CatalogueSettings",
    "CategoricalFeature",
    "CleanSettings",
    "Entity",
    "EntityPredictor",
    "ExplainSettings",
    "Feature",
    "Features",
    "IdFeature",
    "Keys",
    "KnowledgeSettings",
    "LanguageSettings",
    "ModelSettings",
    "MulticlassTask",
    "MultilabelTask",
    "NumericFeature",
    "ObjectiveSettings",
    "Part",
    "Predictor",
    "Progress",
    "RegressionTask",
    "RetrievalTask",
    "Schema",
    "SequenceFeature",
    "SplitSettings",
    "Tables",
    "TagsFeature",
    "Task",
    "TextFeature",
    "TimeFeature",
    "TrainingSettings",
    "VectorFeature",
    "expression_columns",
    "nearest",
    "parse_expression",
    "positive_weight",
    "require_known",
    "silent",
    "table_of",
    "template_fields",
]
