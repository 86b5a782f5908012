"""Names of payees for a run: some known ones, and new ones without end. No name is a person's."""

from random import Random

KNOWN = 50
"""Names that come again and again."""
SYLLABLES = (
    *("an", "bel", "cor", "da", "el", "fen", "gar", "hol", "is", "jan", "ke", "lor", "mar", "nes"),
    *("ol", "pe", "ran", "sel", "tor", "ul", "ven", "wil", "yas", "zor", "mi", "le", "tha", "bri"),
)


def name_of(run: str, number: int, new_share: float) -> str:
    """Return the payee's name of a payment: a new one for that share of them, evenly spread."""
    is_new = int((number + 1) * new_share) > int(number * new_share)
    return _name(f"{run} {number}") if is_new else _name(f"known {number % KNOWN}")


def _name(seed: str) -> str:
    chance = Random(seed)  # noqa: S311 - the same in each run
    return " ".join("".join(chance.choices(SYLLABLES, k=3)).capitalize() for _ in range(2))
