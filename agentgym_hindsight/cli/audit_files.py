"""The files that ``agh audit`` and its parts read and write."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from agentgym_hindsight.atomic import write_text
from agentgym_hindsight.baselines.audit.svg_file import is_svg_of_audit, write_charts
from agentgym_hindsight.cli.output_files import check_file, check_folder, is_page_of
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.markup import Html

__all__ = ["checked_images", "checked_markdown", "truth_file", "write_images", "write_markdown"]


def truth_file(name: str) -> Path:
    """The file of turns that a command was given."""
    file = Path(name)
    if not file.is_file():
        raise UsageError(f"Expected a file of `agh audit`, got {name!r}; try turns.parquet of its folder.")
    return file


def checked_images(options: argparse.Namespace) -> Path | None:
    """The folder of ``--images``."""
    return check_folder(options.images, "charts", option="--images") if options.images else None


def checked_markdown(options: argparse.Namespace) -> Path | None:
    """The file of ``--markdown``."""
    if not options.markdown:
        return None
    return check_file(options.markdown, "page", is_page_of("audit"), option="--markdown", fresh=options.fresh)


def write_images(folder: Path, charts: Mapping[str, Html], *, fresh: bool = False) -> list[Path]:
    """Write the charts; files of another kind are kept."""
    for name in charts:
        check_file(folder / f"{name}.svg", "chart", is_svg_of_audit, option="--images", fresh=fresh)
    return write_charts(folder, dict(charts))


def write_markdown(file: Path, title: str, command: str, parts: Sequence[str]) -> None:
    """Write a page of Markdown. ``parts`` are paragraphs and tables."""
    write_text(file, "\n\n".join([f"# {title}", f"`{command}`", *parts]) + "\n")
