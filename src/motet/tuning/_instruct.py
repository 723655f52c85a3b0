"""A generating model taught to answer about one's own users and items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from motet.data import Dataset
from motet.errors import TrainingError
from motet.schema import Progress, silent
from motet.tuning._chat_model import ChatModel
from motet.tuning._identity import identity_of
from motet.tuning._likes import item_texts
from motet.tuning._low_rank import TunedWeights
from motet.tuning._place import check_identity, check_output, checkpoint_of, publish, remove_checkpoint
from motet.tuning._questions import Question, Questions
from motet.tuning._result import Tuned
from motet.tuning._settings import InstructSettings
from motet.tuning._steps import run_steps

__all__ = ["answer_probabilities", "instruct", "sample_questions"]


def instruct(
    data: Dataset,
    out: str | Path,
    settings: InstructSettings | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Tuned:
    """Tune a generating model on questions about several tasks at once (as P5, Geng et al. 2022, §3).

    Questions are drawn from training rows, each task as often; the loss is that of the right answer.
    The weights kept are those with the highest mean log-likelihood of right answers, among the
    allowed ones, on questions of validation rows. If no step does better than the model as it was,
    that is what is written, and the report says so.

    Args:
        data: The data set.
        out: Directory for the result; checkpoints lie beside it until it is complete.
        settings: How; the defaults when left out.
        resume: Go on from the checkpoint of an interrupted run.
        overwrite: Replace a result that is there.
        progress: Called with what is going on.

    Raises:
        MotetError: If the schema has no text of items, no users or nothing to ask, the model cannot
            be loaded, or a place is wrong.
    """
    out, settings = Path(out), settings or InstructSettings()
    questions = Questions(
        data,
        item_texts(data, settings.feature),
        history=settings.history,
        candidates=settings.candidates,
        tasks=settings.tasks,
    )
    check_output(out, overwrite)
    rows = {task: questions.rows(task, "train") for task in questions.tasks}
    empty = [task for task, found in rows.items() if not len(found)]
    if empty:
        raise TrainingError(
            f"task '{empty[0]}' has no training row that can be asked about",
            "give more rows a user, or name other tasks in tune.tasks",
        )
    checks = [
        question
        for task in questions.tasks
        for question in sample_questions(
            questions, task, questions.rows(task, "validation"), settings.check_questions, settings.seed
        )
    ]
    if not checks:
        raise TrainingError("no validation row can be asked about", "give the split more validation rows")
    model = ChatModel(
        settings.generator,
        max_tokens=settings.max_tokens,
        device=settings.device,
        precision=settings.precision,
    )
    checkpoint = checkpoint_of(out, resume)
    check_identity(checkpoint, identity_of("instruct", data, settings))
    weights = TunedWeights(model.transformer, settings)

    def losses(step: int) -> Iterator[Tensor]:
        rng = np.random.default_rng([settings.seed, 1, step])
        drawn = []
        for i in range(settings.batch_size):
            task = questions.tasks[(step * settings.batch_size + i) % len(questions.tasks)]
            question = questions.ask(task, int(rng.choice(rows[task])), rng)
            drawn.append((question.prompt, question.choices[int(rng.choice(question.right))]))
        model.train()
        for start in range(0, len(drawn), settings.micro_batch):
            prompts, answers = zip(*drawn[start : start + settings.micro_batch], strict=True)
            yield model.loss(prompts, answers) / len(drawn)

    def score() -> float:
        found = answer_probabilities(model, checks)
        right = [p[list(q.right)].sum() for p, q in zip(found, checks, strict=True)]
        return float(np.mean(np.log(np.maximum(right, 1e-12))))

    history = run_steps(
        weights.parameters, losses, score, settings,
        checkpoint=checkpoint, resume=resume, progress=progress,
    )  # fmt: skip
    weights.merge()
    first, best = history.checks[0].score, history.checks[history.best].score
    helped = history.best > 0
    report: dict[str, Any] = {
        "kind": "instruct",
        "generator": settings.generator,
        "tasks": list(questions.tasks),
        "settings": settings.model_dump(mode="json"),
        "schema": data.schema.to_yaml(),
        "trained_weights": sum(p.numel() for p in weights.parameters.values()),
        "weights": weights.total,
        "questions": settings.batch_size * history.checks[-1].step,
        "measure": f"mean log-likelihood of right answers to {len(checks)} validation questions",
        "frozen": first,
        "tuned": best,
        "helped": helped,
        "summary": f"log-likelihood of right answers to validation questions: {first:.4f} before, {best:.4f} after"
        if helped
        else f"tuning did not help: no step was better than the model as it was ({first:.4f}), which is what was written",
        "history": history.to_json(),
    }
    publish(out, lambda new: model.save(new / "generator"), report)
    remove_checkpoint(checkpoint)
    return Tuned(out, out / "generator", report)


def sample_questions(
    questions: Questions, task: str, rows: NDArray[np.int64], n: int, seed: int
) -> list[Question]:
    """Questions about a task on at most n of some rows, drawn by a seed.

    Args:
        questions: Writes them.
        task: The task.
        rows: From :meth:`Questions.rows`, or some of them.
        n: Most questions.
        seed: Of the draw, and of what is offered.
    """
    rng = np.random.default_rng([seed, 3, list(questions.data.schema.tasks).index(task)])
    chosen = rng.choice(rows, min(n, len(rows)), replace=False)
    return [questions.ask(task, int(row), rng) for row in np.sort(chosen)]


def answer_probabilities(
    model: ChatModel, questions: Sequence[Question], progress: Progress = silent
) -> list[NDArray[np.float64]]:
    """Probability of each allowed answer to each question: among the allowed ones, they sum to 1.

    Raises:
        GenerationError: If one cannot be had; nothing is returned then.
    """
    found = []
    for done, question in enumerate(questions):
        scores = model.choice_log_probabilities(question.prompt, question.choices)
        weights = np.exp(scores - scores.max())
        found.append(weights / weights.sum())
        progress("asking", done + 1, len(questions))
    return found
