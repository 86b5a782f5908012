"""The service's tables, and the files of its models."""

from fraud.store.activity import Activity, Paid
from fraud.store.artefacts import Scorers, load_scorers
from fraud.store.registry import Registry
from fraud.store.scores import Scored, Scores

__all__ = ["Activity", "Paid", "Registry", "Scored", "Scorers", "Scores", "load_scorers"]
