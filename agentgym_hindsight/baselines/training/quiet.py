"""Suppress progress bars and notices of libraries while a run shows its own progress."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet_libraries"]

#: Deprecation notices that transformers and TRL cause in each other. Users of this library cannot fix them.
_NOTICES = (r".*is deprecated and will be removed in v6.*", r".*is deprecated and will be removed in version 5.*")


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Inside the block, transformers and datasets show no progress bars and print no such notices."""
    import datasets
    from transformers.utils import logging

    enabled = (logging.is_progress_bar_enabled(), datasets.is_progress_bar_enabled())
    logging.disable_progress_bar()
    datasets.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            for notice in _NOTICES:
                warnings.filterwarnings("ignore", notice, FutureWarning)
            yield
    finally:
        if enabled[0]:
            logging.enable_progress_bar()
        if enabled[1]:
            datasets.enable_progress_bars()
