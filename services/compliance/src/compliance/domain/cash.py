"""Cash: the business day that it counts for, and when a report is due."""

from datetime import date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

LIMIT_USD_MINOR = 10_000_00
"""A report is due above it, a person and business day. Source: 31 CFR 1010.311."""
_MONDAY, _THURSDAY, _SATURDAY = 0, 3, 5
_DAY = timedelta(days=1)


def business_day(moment: datetime, zone: ZoneInfo) -> date:
    """Return the business day of a transaction, in the bank's time zone.

    Cash of a weekend or holiday counts for the next business day. Source: 31 CFR 1010.313(b).
    """
    day = moment.astimezone(zone).date()
    while day.weekday() >= _SATURDAY or day in holidays(day.year):
        day += _DAY
    return day


def is_reportable(total_usd_minor: int) -> bool:
    """Return whether a person's cash of a business day must be reported."""
    return total_usd_minor > LIMIT_USD_MINOR


@cache
def holidays(year: int) -> frozenset[date]:
    """Return the holidays of the Federal Reserve Banks; one on a Sunday is kept on the Monday.

    Source: Federal Reserve Bank Services, holiday schedule.
    """
    fixed = [(1, 1), (6, 19), (7, 4), (11, 11), (12, 25)]
    days = [date(year, month, day) for month, day in fixed]
    return frozenset(
        {
            *(one + _DAY if one.weekday() == _SATURDAY + 1 else one for one in days),
            _nth(year, 1, _MONDAY, 3),
            _nth(year, 2, _MONDAY, 3),
            _nth(year, 6, _MONDAY, 1) - 7 * _DAY,
            _nth(year, 9, _MONDAY, 1),
            _nth(year, 10, _MONDAY, 2),
            _nth(year, 11, _THURSDAY, 4),
        }
    )


def _nth(year: int, month: int, weekday: int, number: int) -> date:
    """Return the n-th of a weekday in a month."""
    first = date(year, month, 1)
    return first + _DAY * ((weekday - first.weekday()) % 7 + 7 * (number - 1))
