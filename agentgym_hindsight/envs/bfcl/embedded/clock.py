"""Days and times as texts, checked and computed without the machine's clock or locale."""

from __future__ import annotations

import re
from datetime import date, timedelta

from agentgym_hindsight.envs.bfcl.embedded.functions import RefusedError
from agentgym_hindsight.short_repr import short_repr

__all__ = ["TODAY", "clock_text", "day_after", "minutes_of", "spoken_day", "valid_day"]

#: The first day of every world, a Monday.
TODAY = "2027-03-01"
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_DAY = re.compile(r"20\d\d-\d\d-\d\d", re.ASCII)
# fmt: off
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)
# fmt: on
_WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def valid_day(text: str) -> str:
    """The day, if it is one. Raises :class:`RefusedError`."""
    if _DAY.fullmatch(text):
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError:
            pass
    raise RefusedError(f"a day is written as 2027-03-01, got {short_repr(text, 40)}")


def minutes_of(text: str) -> int:
    """The minutes since midnight of a time such as 09:30. Raises :class:`RefusedError`."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise RefusedError(f"a time is written as 09:30, got {short_repr(text, 40)}")
    return int(found[1]) * 60 + int(found[2])


def clock_text(minutes: int) -> str:
    """The time of a number of minutes since midnight.

    >>> clock_text(570)
    '09:30'
    """
    return f"{minutes // 60:02}:{minutes % 60:02}"


def day_after(days: int, start: str = TODAY) -> str:
    """The day a number of days after another.

    >>> day_after(31)
    '2027-04-01'
    """
    return (date.fromisoformat(start) + timedelta(days=days)).isoformat()


def spoken_day(day: str) -> str:
    """A day as people say it.

    >>> spoken_day("2027-03-09")
    'Tuesday, 9 March 2027'
    """
    parsed = date.fromisoformat(day)
    return f"{_WEEKDAYS[parsed.weekday()]}, {parsed.day} {_MONTHS[parsed.month - 1]} {parsed.year}"
