"""The alerts on sign-ins and refresh tokens."""

from observability.alert import Alert
from observability.timing import Timing

MANY_REFUSED = 60
"""In ten minutes: two hundred people with an error each a day are fewer."""


def identity_alerts(timing: Timing) -> list[Alert]:
    """Return the alert on stolen tokens, then that on guessed passwords."""
    window = timing.window("10m")
    return [
        Alert(
            "RefreshTokenReused",
            _reused(window),
            "0s",
            "ticket",
            "a refresh token was used a second time; its session has ended",
        ),
        Alert(
            "SignInAttack",
            f"{_sign_ins('refused|limited', window)} > {MANY_REFUSED}"
            f" and {_sign_ins('refused|limited', window)} > {_sign_ins('.+', window)} / 2",
            "0s",
            "page",
            "{{ $value }} sign-ins were refused, more than half of all",
        ),
    ]


def _reused(window: str) -> str:
    """Return where the counter has grown or is new: it does not exist before its first count."""
    counted = 'token_refreshes_total{result="reused"}'
    return (
        f"sum (increase({counted}[{window}])) > 0"
        f" or (sum ({counted}) unless sum ({counted} offset {window}))"
    )


def _sign_ins(results: str, window: str) -> str:
    return f'sum (increase(sign_ins_total{{result=~"{results}"}}[{window}]))'
