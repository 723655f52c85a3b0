"""Routes of surveys: create, list, results, close; and of questions that are put to users."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field, Strict
from starlette.responses import Response

from motet.recommend import RequestPart
from motet.service.api._bodies import BodyRoute
from motet.service.api._context import PROBLEMS, Context, Name, refuse_other_methods
from motet.service.api._wire import Done
from motet.service.engine import PutQuestion, SurveySettings, SurveyView

__all__ = ["survey_routes"]


class AskIn(RequestPart):
    """Whom to ask, and where."""

    user: str = Field(min_length=1, max_length=512, examples=["42"])
    scenario: str | None = Field(
        None, min_length=1, max_length=512, description="That of the list by default."
    )
    list_id: str | None = Field(
        None, min_length=1, max_length=512, description="The list that it is put with."
    )


class ValueIn(RequestPart):
    """An answer."""

    value: Annotated[int, Strict()] = Field(
        ge=0, le=99, description="1 to 5 stars; 1 for yes, 0 for no; or the place of the choice, from 0."
    )


class MaybeQuestion(BaseModel):
    """A question, if there is one to put."""

    question: PutQuestion | None


def survey_routes(context: Context) -> APIRouter:
    """Routes of surveys and questions."""
    surveys = context.engine.surveys
    routes = APIRouter(prefix="/v1", route_class=BodyRoute, responses=PROBLEMS, tags=["surveys"])

    @routes.get("/surveys", response_model=list[SurveyView])
    async def every() -> Response:
        """All surveys with their numbers, oldest first."""
        return await context.answer("slow", lambda: [one.model_dump(mode="json") for one in surveys.all()])

    @routes.post("/surveys", response_model=SurveyView, status_code=201)
    async def create(body: SurveySettings) -> Response:
        """Open a survey."""
        return await context.answer("write", lambda: surveys.create(body), status=201)

    @routes.get("/surveys/{key}", response_model=SurveyView)
    async def show(key: Name) -> Response:
        """A survey: how many were asked and answered, counts and means, by scenario, model version and day."""
        return await context.answer("slow", lambda: surveys.view(key))

    @routes.post("/surveys/{key}/close", response_model=SurveyView)
    async def close(key: Name) -> Response:
        """Close a survey: nobody is asked any more."""
        return await context.answer("write", lambda: surveys.close(key))

    @routes.post("/questions", response_model=MaybeQuestion)
    async def ask(body: AskIn) -> Response:
        """Put a question to a user, if there is one for them now; that counts as asked."""

        def call() -> MaybeQuestion:
            return MaybeQuestion(question=surveys.ask(body.user, body.scenario, body.list_id))

        return await context.answer("write", call)

    @routes.get("/questions/{id}", response_model=MaybeQuestion)
    async def question(id: Name) -> Response:
        """A question that was put, unless it is answered or its survey is closed."""
        return await context.answer("fast", lambda: MaybeQuestion(question=surveys.question(id)))

    @routes.post("/questions/{id}/answer", response_model=Done)
    async def answer(id: Name, body: ValueIn) -> Response:
        """Answer a question; the last answer counts."""

        def call() -> Done:
            surveys.answer(id, body.value)
            return Done()

        return await context.answer("write", call)

    refuse_other_methods(routes)
    return routes
