"""A fixed date and time in place of the machine's, so that the same code prints the same text on any day."""

from __future__ import annotations

import ctypes
import datetime
import gc
import sys
import time
from typing import Any

__all__ = ["fix_clock"]

#: Of Linux also a coarse clock, one that can wake the machine, and international atomic time: Python has no name for
#: the first two, but reads them by number.
_CALENDAR_CLOCKS = {time.CLOCK_REALTIME, *((5, 8, 11) if sys.platform == "linux" else ())}


def fix_clock(now: str) -> None:
    """Make every calendar clock of Python return ``now`` (ISO format). Monotonic clocks keep running.

    The methods are written into ``datetime.datetime`` itself: a subclass in its place would be visible in every
    ``repr`` and ``isinstance``. CPython does not allow this for built-in types by normal means; here it is safe,
    because the interpreter is used for one episode only.
    """
    stamp = datetime.datetime.fromisoformat(now).replace(tzinfo=datetime.timezone.utc).timestamp()
    real = {name: getattr(time, name) for name in ("localtime", "gmtime", "ctime")}

    def at_now(cls: Any, tz: datetime.tzinfo | None = None) -> Any:
        return cls.fromtimestamp(stamp, tz)  # local time is UTC here

    kind = datetime.datetime
    (methods,) = (each for each in gc.get_referents(kind.__dict__) if isinstance(each, dict))
    methods.update(now=classmethod(at_now), utcnow=classmethod(lambda cls: cls.fromtimestamp(stamp)))
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))

    time.time = lambda: stamp
    time.time_ns = lambda: int(stamp) * 10**9
    gettime, gettime_ns = time.clock_gettime, time.clock_gettime_ns
    time.clock_gettime = lambda clock: stamp if clock in _CALENDAR_CLOCKS else gettime(clock)
    time.clock_gettime_ns = lambda clock: int(stamp) * 10**9 if clock in _CALENDAR_CLOCKS else gettime_ns(clock)
    for name, function in real.items():
        setattr(time, name, lambda seconds=None, function=function: function(stamp if seconds is None else seconds))
    strftime, asctime = time.strftime, time.asctime
    time.strftime = lambda form, when=None: strftime(form, time.gmtime() if when is None else when)
    time.asctime = lambda when=None: asctime(time.gmtime() if when is None else when)
