"""Libraries that draw bars and print notices of their own are kept quiet while a run has the screen."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet_libraries"]

#: Notices of transformers and TRL about each other's names: nothing that a caller of ours could change.
_NOTICES = (r".*is deprecated and will be removed in v6.*", r".*is deprecated and will be removed in version 5.*")


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """No progress bars of transformers and datasets, no notices about their inside; as before afterwards."""
    import datasets
    from transformers.utils import logging

    drawing = (logging.is_progress_bar_enabled(), datasets.is_progress_bar_enabled())
    logging.disable_progress_bar()
    datasets.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            for notice in _NOTICES:
                warnings.filterwarnings("ignore", notice, FutureWarning)
            yield
    finally:
        if drawing[0]:
            logging.enable_progress_bar()
        if drawing[1]:
            datasets.enable_progress_bars()
