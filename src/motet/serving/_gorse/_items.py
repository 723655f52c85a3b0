"""Items, as Gorse has them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body, Query
from pydantic import Field

from motet.serving._gorse._needs import Needs
from motet.serving._gorse._route import MOST, Adder, Count, Id, Words
from motet.serving._gorse._shapes import ItemIn, ItemOut, ItemPage, ItemPatch, Row, item_out
from motet.serving._gorse._times import read_time
from motet.serving._problems import NotFoundError
from motet.store import Item

__all__ = ["add_items"]


def add_items(add: Adder, needs: Needs) -> None:
    """Add what is asked and told of items; see :func:`add_users`."""

    def put(items: list[ItemIn]) -> Row:
        needs.items.put([_item(one) for one in items])
        return Row(row_affected=len(items))

    def here(item: str) -> None:
        if not needs.here(item):
            raise NotFoundError(f"item {item} not found")

    @add.post("/item", "Insert an item, or replace it.")
    def insert_item(item: ItemIn) -> Row:
        return put([item])

    @add.post("/items", "Insert items, or replace them.")
    def insert_items(items: Annotated[list[ItemIn], Field(fail_fast=True), Body(max_length=MOST)]) -> Row:
        return put(items)

    @add.get("/items", "Items, hidden ones too, ordered by id.")
    def get_items(
        n: Count = 10,
        cursor: Annotated[Words, Query(max_length=4096)] = "",
        q: Annotated[Words, Query(max_length=256, description="Words that they hold")] = "",
    ) -> ItemPage:
        if not n:
            return ItemPage(cursor=cursor, items=())
        found, after = needs.item_page(min(n, MOST), cursor, q.strip())
        return ItemPage(cursor=after, items=tuple(map(item_out, found)))

    @add.get("/item/{item}", "An item.")
    def get_item(item: Id) -> ItemOut:
        found = needs.item(item)
        if found is None:
            raise NotFoundError(f"item {item} not found")
        return item_out(found)

    @add.patch("/item/{item}", "Change what is given of an item.")
    def modify_item(item: Id, patch: ItemPatch) -> Row:
        changes: dict[str, Any] = patch.model_dump()
        changes["timestamp"] = read_time(patch.timestamp or "")
        here(item)
        needs.items.patch(item, **changes)
        return Row(row_affected=1)

    @add.delete("/item/{item}", "Delete an item with its feedback.")
    def delete_item(item: Id) -> Row:
        return Row(row_affected=int(needs.items.delete(item)))

    @add.put("/item/{item}/category/{category}", "Put an item into a category too.")
    def insert_category(item: Id, category: Id) -> Row:
        here(item)
        needs.store.items.add_category(item, category)
        needs.edited()
        return Row(row_affected=1)

    @add.delete("/item/{item}/category/{category}", "Take an item out of a category.")
    def delete_category(item: Id, category: Id) -> Row:
        here(item)
        needs.store.items.remove_category(item, category)
        needs.edited()
        return Row(row_affected=1)


def _item(told: ItemIn) -> Item:
    return Item(
        told.item_id,
        told.is_hidden,
        tuple(dict.fromkeys(told.categories)),
        read_time(told.timestamp),
        told.labels,
        told.comment,
    )
