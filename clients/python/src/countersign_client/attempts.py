"""Idempotency keys: one for each attempt to pay, kept until its outcome is definite.

An attempt is a transaction with its parameters (amount, currency, both accounts). A key is random,
is stored before it is sent, and is the same for each try of the attempt, also after a restart.
"""

import contextlib
import hashlib
import json
import os
import threading
import uuid
from pathlib import Path
from typing import Protocol


class Attempts(Protocol):
    """Where keys are kept. Both methods are atomic, for threads and for processes."""

    def key_of(self, transaction_id: str, parameters: str) -> str:
        """Return the stored key of an attempt; store a new one first if there is none.

        `parameters` is a digest. Another one than the stored is another attempt: its new key
        replaces the stored one.
        """
        ...

    def forget(self, transaction_id: str, key: str) -> None:
        """Remove the key of a transaction, if it is this one."""
        ...


MOST_IN_MEMORY = 10_000
"""Some 3 MB. Payments end by their own deadlines within hours; their keys are of no use then."""


class MemoryAttempts:
    """Keeps keys while the process lives: those of the last 10,000 unfinished attempts."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[str, str]] = {}
        self._lock = threading.Lock()

    def key_of(self, transaction_id: str, parameters: str) -> str:
        with self._lock:
            kept = self._kept.get(transaction_id)
            if kept is None or kept[0] != parameters:
                kept = self._kept[transaction_id] = (parameters, str(uuid.uuid4()))
                if len(self._kept) > MOST_IN_MEMORY:
                    del self._kept[next(iter(self._kept))]
            return kept[1]

    def forget(self, transaction_id: str, key: str) -> None:
        with self._lock:
            if self._kept.get(transaction_id, ("", ""))[1] == key:
                del self._kept[transaction_id]


class FileAttempts:
    """Keeps keys in a folder, a file of mode 0600 for each transaction, over restarts.

    Files have neither accounts nor amounts. Processes may share the folder, on a file system with
    hard links.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def key_of(self, transaction_id: str, parameters: str) -> str:
        path, key = self._path(transaction_id), str(uuid.uuid4())
        written = path.with_suffix(f".{key}")
        while (kept := _read(path)) is None or kept[0] != parameters:
            if not written.exists():
                _write(written, json.dumps([parameters, key]))
            if kept:
                path.unlink(missing_ok=True)
            with contextlib.suppress(FileExistsError):  # a link never overwrites: the first wins
                os.link(written, path)
                _sync(self._folder)
        written.unlink(missing_ok=True)
        return kept[1]

    def forget(self, transaction_id: str, key: str) -> None:
        path = self._path(transaction_id)
        kept = _read(path)
        if kept and kept[1] == key:
            path.unlink(missing_ok=True)

    def _path(self, transaction_id: str) -> Path:
        # Not every file system takes every id, and some ignore case.
        return self._folder / f"{hashlib.sha256(transaction_id.encode()).hexdigest()}.json"


def _read(path: Path) -> tuple[str, str] | None:
    """Return parameters and key; None without a file. Raises ValueError for a damaged one."""
    try:
        parameters, key = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        raise ValueError(f"{path} is no file of an attempt; its payment may exist") from None
    return str(parameters), str(key)


def _write(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123 - the handle has the mode
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Make the name durable; Windows opens no folders, and needs no sync of them."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
