"""The conformance suite of predictors: models, controls, anything evaluation can score."""

from __future__ import annotations

import numpy as np

from motet.data import Dataset
from motet.schema import EntityPredictor, Predictor
from motet.testing._asserts import assert_close, assert_on_scale

__all__ = ["check_predictor"]


def check_predictor(predictor: Predictor, data: Dataset) -> None:
    """Check that a predictor keeps its promises on the data set it is bound to.

    Only tasks of the schema are predicted; shapes and ranges fit the tasks; no rows give no
    predictions; each row stands alone; a catalogue score for each item and asked user, in the order
    asked; tasks on users and items for every row of their table.

    Args:
        predictor: A fitted predictor.
        data: Its data set.

    Raises:
        AssertionError: If a promise is broken; the text says which.
    """
    classes = {name: len(names) for name, names in data.encoder.classes.items()}
    rows = np.concatenate([data.rows("validation")[:40], data.rows("test")[:40]])
    predictions = predictor.predict(rows)
    for name, values in predictions.items():
        assert name in data.schema.tasks, f"predicts {name!r}, which is no task of the schema"
        task = data.schema.tasks[name]
        assert task.on == "interaction", f"predicts {name!r} for interactions, but it is on {task.on}"
        assert_on_scale(name, task, values, len(rows), classes.get(name, 0))
    order = np.random.default_rng(0).permutation(len(rows))
    permuted, half = predictor.predict(rows[order]), predictor.predict(rows[::2])
    nothing = predictor.predict(rows[:0])
    for name, values in predictions.items():
        assert_close(
            permuted[name], values[order], f"permuting rows does not permute the outputs of {name!r}"
        )
        assert_close(half[name], values[::2], f"outputs of {name!r} depend on the other rows")
        assert len(nothing[name]) == 0, f"no rows give {len(nothing[name])} predictions of {name!r}"
    users = np.unique(data.user_row[rows])[:9].astype(np.int64)
    scores = predictor.score_items(users)
    if scores is not None:
        wanted = (len(users), len(data.items))
        assert scores.shape == wanted, f"catalogue scores have shape {scores.shape}, not {wanted}"
        assert not bool(np.isnan(scores).any()), "catalogue scores are not numbers"
        asked = np.concatenate([users[::-1], users[:1]])
        again = predictor.score_items(asked)
        assert again is not None, "scores the catalogue once and then no more"
        expected = np.concatenate([scores[::-1], scores[:1]])
        assert_close(again, expected, "catalogue scores do not follow the order of the users asked")
    if isinstance(predictor, EntityPredictor):
        for entity in ("user", "item"):
            for name, values in predictor.predict_entities(entity).items():
                task = data.schema.tasks[name]
                assert task.on == entity, f"predicts {name!r} for each {entity}, but it is on {task.on}"
                n = len(data.table(entity))
                assert_on_scale(name, task, values, n, classes.get(name, 0))
