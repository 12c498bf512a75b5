"""Tables of results: for the terminal, and as Markdown. A table that does not fit is printed as a list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.table import Table

from agentgym_hindsight.cli.terminal import SafeConsole
from agentgym_hindsight.printable import printable

__all__ = ["Grid"]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table with a head. ``text_columns`` first columns contain text, the others contain numbers.

    Cells of the first ``whole_columns`` columns are never cut or folded, so that ids can be copied. If the terminal is
    too narrow for that, the table is printed as a list: the first cell of a row, and below it the others by name.
    A rule is drawn above the row with the number in ``rules``.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    text_columns: int
    whole_columns: int = 1
    rules: tuple[int, ...] = ()

    def print(self, out: SafeConsole) -> None:
        """Print the table, or a list if the console is too narrow for it."""
        if self._least_width() <= out.width:
            out.print(self.rich())
        else:
            for line in self.as_list():
                out.print(line, soft_wrap=True)

    def rich(self) -> Table:
        """The table of rich."""
        table = Table(title=self.title or None, title_justify="left", box=box.HEAVY_HEAD)
        for number, name in enumerate(self.head):
            table.add_column(
                name,
                justify="left" if number < self.text_columns else "right",
                no_wrap=number < self.whole_columns,
                overflow="fold",
            )
        for number, row in enumerate(self.rows):
            if number in self.rules:
                table.add_section()
            table.add_row(*row)
        return table

    def as_list(self) -> Iterator[str]:
        """The lines of the list. Nothing is cut; the terminal may wrap a line, and copying it gives it whole."""
        if self.title:
            yield self.title
        for row in self.rows:
            yield row[0]
            for name, cell in zip(self.head[1:], row[1:], strict=True):
                if cell:
                    first, *others = cell.split("\n")
                    yield f"  {name}: {first}"
                    yield from (f"    {line}" for line in others)

    def markdown(self) -> list[str]:
        """The lines of a Markdown table."""
        rule = ["---"] * self.text_columns + ["---:"] * (len(self.head) - self.text_columns)
        lines = [self.head, rule, *([_markdown_cell(cell) for cell in row] for row in self.rows)]
        return [f"| {' | '.join(line)} |" for line in lines]

    def _least_width(self) -> int:
        """The width at which no word is cut: the longest word of each column, with three characters around it."""
        width = 1
        for number, name in enumerate(self.head):
            cells = [printable(name), *(printable(row[number]) for row in self.rows)]
            parts = [
                part for cell in cells for part in (cell.split("\n") if number < self.whole_columns else cell.split())
            ]
            width += 3 + max(map(cell_len, parts), default=0)
        return width


def _markdown_cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
