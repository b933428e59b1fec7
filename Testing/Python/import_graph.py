"""Which file imports which: the graph of the library and of the Slicer layer."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "MyoPSSegmenter"
Graph = dict[str, set[str]]


def module_files(folder: Path = FOLDER) -> dict[str, Path]:
    """Module name, such as "myops.quantify.mass", to its file; a folder is its `__init__`."""
    files = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


def import_graph(files: Mapping[str, Path]) -> Graph:
    """Each module to those of the others that it imports when it runs."""
    return {name: set(_imports(name, path, files)) - {name} for name, path in files.items()}


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules each of which leads back to itself through the others, sorted.

    Two modules belong to one group when each is reached from the other: the strongly connected
    components of more than one module.
    """
    reached = {name: _reached(graph, name) for name in graph}
    groups = {
        frozenset({name, *(other for other in reached[name] if name in reached[other])})
        for name in graph
    }
    return sorted(sorted(group) for group in groups if len(group) > 1)


def _reached(graph: Mapping[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def _imports(name: str, path: Path, files: Mapping[str, Path]) -> Iterator[str]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in _run_nodes(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in files)
        elif isinstance(node, ast.ImportFrom):
            source = _source(node, package)
            # `from package import module` means the module, not the package that holds it.
            wanted = (f"{source}.{alias.name}" for alias in node.names)
            yield from (one if one in files else source for one in wanted if source in files)


def _source(node: ast.ImportFrom, package: str) -> str:
    """The absolute name of what stands between `from` and `import`."""
    if not node.level:
        return node.module or ""
    parents = package.split(".")
    parents = parents[: len(parents) - node.level + 1]
    return ".".join([*parents, *([node.module] if node.module else [])])


def _run_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below one, without what only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield other
                yield from _run_nodes(other)
        else:
            yield child
            yield from _run_nodes(child)
