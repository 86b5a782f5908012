"""Generated payments as Parquet, and as the log that features are made of."""

import hashlib
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fraud.domain.features import DELAY_DAYS
from fraud.domain.history import Log
from training.generator import DAY_S, Payments


def write(payments: Payments, file: Path) -> None:
    """Write payments, a column a field."""
    columns = {field.name: getattr(payments, field.name) for field in fields(Payments)}
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), file)


def read(file: Path) -> Payments:
    """Read payments that `write` has written."""
    table = pq.read_table(file)
    return Payments(*(table[field.name].to_numpy() for field in fields(Payments)))


def digest(payments: Payments) -> str:
    """Return the SHA-256 of payments, whatever file they are in."""
    hashed = hashlib.sha256()
    for field in fields(Payments):
        hashed.update(np.ascontiguousarray(getattr(payments, field.name), dtype="<i8").tobytes())
    return hashed.hexdigest()


def log_of(payments: Payments) -> Log:
    """Return the log: payments, and a report of each fraud when it becomes known."""
    frauds = np.flatnonzero(payments.is_fraud)
    at_s = np.concatenate([payments.at_s, payments.at_s[frauds] + DELAY_DAYS * DAY_S])
    about = np.concatenate([np.arange(len(payments.at_s)), frauds])
    reports = np.concatenate([np.full(len(payments.at_s), -1), frauds])
    # Stable: a payment comes before a report of the same second.
    order = np.argsort(at_s, kind="stable")
    about = about[order]
    return Log(
        at_s[order],
        reports[order],
        payments.amount_usd_minor[about],
        payments.customer[about],
        payments.terminal[about],
        payments.device[about],
    )
