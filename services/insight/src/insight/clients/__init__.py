"""What insight calls outside: a language model, and Redis as a cache of its answers."""

from insight.clients.cache import Answers, RedisAnswers
from insight.clients.model import Completion, Model, ModelError, Timing
from insight.clients.openai_api import Account, OpenAiApi

__all__ = [
    "Account",
    "Answers",
    "Completion",
    "Model",
    "ModelError",
    "OpenAiApi",
    "RedisAnswers",
    "Timing",
]
