"""The lists and their entries, for operators."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Depends, HTTPException

from screening.routes.api import Api


def add_lists(router: APIRouter, api: Api) -> None:
    """Add the lists that are searched, and what they say of an entry."""
    reader = [Depends(api.operators.require("ops.read"))]

    @router.get("/admin/lists", dependencies=reader)
    async def listing() -> Any:
        """Return the lists that are searched now."""
        return {
            "lists": [
                {"list": one.name, "version": one.version, "entries": len(one.entries)}
                for one in api.lists.current.screener.lists
            ]
        }

    @router.get("/admin/lists/{list_name}/entries/{entry_id}", dependencies=reader)
    async def entry(list_name: str, entry_id: str) -> Any:
        """Return what a list says of an entry."""
        found = api.lists.current.screener.entry(list_name, entry_id)
        if found is None:
            raise HTTPException(404, f"Unknown entry: {list_name} {entry_id}")
        return asdict(found)
