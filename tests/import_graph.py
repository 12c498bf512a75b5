"""The import graph of a package, and the circles in it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

Graph = Mapping[str, set[str]]


def module_files(package: Path) -> dict[str, Path]:
    """Every module of the package by its full name; a package has the name of its folder."""
    files = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


def imported_names(path: Path) -> Iterator[tuple[str, str, int]]:
    """(module, name, line) of every import statement in a file; the name is "" for ``import module``.

    ``ast.walk`` also visits functions and ``if TYPE_CHECKING:`` blocks. ``import_module("…")`` is a call and not an
    import statement, so a lazy ``__init__`` gives no edge.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "", node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level or node.module is None:
                raise ValueError(f"{path}:{node.lineno}: expected an absolute import, got a relative one")
            yield from ((node.module, alias.name, node.lineno) for alias in node.names)


def import_graph(package: Path) -> Graph:
    """Which module imports which, within the package.

    ``from a import b`` is an edge to the module ``a.b`` if there is one, else to ``a``. The implicit import of parent
    packages is no edge.
    """
    files = module_files(package)
    graph: dict[str, set[str]] = {name: set() for name in files}
    for importer, path in files.items():
        for module, name, _ in imported_names(path):
            imported = f"{module}.{name}" if f"{module}.{name}" in files else module
            if imported in files:
                graph[importer].add(imported)
    return graph


def import_circles(graph: Graph) -> list[list[str]]:
    """One shortest circle for each strongly connected component of more than one module, or with an edge to itself."""
    circles = []
    for component in strongly_connected_components(graph):
        start = min(component)
        if len(component) > 1 or start in graph[start]:
            circles.append(_shortest_circle(graph, start))
    return sorted(circles)


def strongly_connected_components(graph: Graph) -> list[set[str]]:
    """Tarjan's algorithm, with an explicit stack: an import graph can be deeper than Python's recursion limit."""
    index: dict[str, int] = {}  # order of the first visit
    low: dict[str, int] = {}  # lowest index reachable from the subtree
    pending: list[str] = []  # visited, but not yet in a component
    found: list[set[str]] = []
    for root in sorted(graph):
        if root in index:
            continue
        index[root] = low[root] = len(index)
        pending.append(root)
        stack = [(root, iter(sorted(graph[root])))]
        while stack:
            node, successors = stack[-1]
            following = next(successors, None)
            if following is None:
                stack.pop()
                if stack:
                    parent = stack[-1][0]
                    low[parent] = min(low[parent], low[node])
                if low[node] == index[node]:
                    place = pending.index(node)
                    found.append(set(pending[place:]))
                    del pending[place:]
            elif following not in index:
                index[following] = low[following] = len(index)
                pending.append(following)
                stack.append((following, iter(sorted(graph[following]))))
            elif following in pending:
                low[node] = min(low[node], index[following])
    return found


def _shortest_circle(graph: Graph, start: str) -> list[str]:
    """Breadth-first search from ``start`` back to it; the first and the last name are ``start``."""
    paths = [[start]]
    seen: set[str] = set()
    for path in paths:
        for following in sorted(graph[path[-1]]):
            if following == start:
                return [*path, start]
            if following not in seen:
                seen.add(following)
                paths.append([*path, following])
    raise ValueError(f"expected a circle through {start}, found none")
