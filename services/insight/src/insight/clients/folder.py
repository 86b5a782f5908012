"""The documents that chat searches, as files."""

import asyncio
from pathlib import Path

from insight.domain.documents import Audience, Passage, passages_of

FOLDERS: dict[str, Audience] = {"runbooks": "operators", "clients": "all"}
FILES: dict[str, Audience] = {"codes.md": "all"}
_LEFT_OUT = ("reference-python.md", "reference-typescript.md")


async def read_documents(folder: Path) -> list[Passage]:
    """Return the passages of all documents; folders and files that are missing have none."""
    return await asyncio.to_thread(_read, folder)


def _read(folder: Path) -> list[Passage]:
    files = [
        (path, audience)
        for name, audience in FOLDERS.items()
        for path in sorted((folder / name).glob("*.md"))
        if path.name not in _LEFT_OUT
    ]
    files += [(folder / name, who) for name, who in FILES.items() if (folder / name).exists()]
    return [
        passage
        for path, audience in files
        for passage in passages_of(
            path.relative_to(folder).as_posix(), audience, path.read_text(encoding="utf-8")
        )
    ]
