"""A digest of the science code that a stage reaches, so that a changed formula makes it stale.

The digest is taken over syntax trees without comments and docstrings, of the stage's module and of every
voxgen module that it imports, directly or not, and over the templates beside them. Left out is what
carries values and files and has no formulas (`settings`, `errors`, `io.files` and `io.models`), and what only
looks on (`environment`, `trial`, `training.watching`).
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
CARRIERS = (
    "voxgen.settings",
    "voxgen.errors",
    "voxgen.io.files",
    "voxgen.io.models",
    "voxgen.environment",
    "voxgen.trial",
    "voxgen.training.watching",
)


def code_digest(module: str) -> str:
    """Digest of the science code behind `module`, for example "voxgen.stages.voxelize"."""
    reached: set[str] = set()
    pending = [module]
    while pending:
        name = pending.pop()
        if name not in reached and not name.startswith(CARRIERS):
            reached.add(name)
            pending.extend(_imports(name))
    combined = "".join(f"{name}:{_tree_digest(name)};" for name in sorted(reached))
    folders = {source.parent / "templates" for name in reached if (source := _source(name))}
    for template in sorted(file for folder in folders for file in folder.glob("*")):
        combined += f"{template.name}:{hashlib.sha256(template.read_bytes()).hexdigest()};"
    return hashlib.sha256(combined.encode()).hexdigest()[:16]


def _source(module: str) -> Path | None:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@cache
def _tree(module: str) -> ast.Module:
    source = _source(module)
    if source is None:
        raise ModuleNotFoundError(module)
    return ast.parse(source.read_text())


@cache
def _imports(module: str) -> frozenset[str]:
    found = set()
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return frozenset(name for name in found if name.startswith("voxgen.") and _source(name))


@cache
def _tree_digest(module: str) -> str:
    tree = _tree(module)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            node.body = body[1:]  # type: ignore[attr-defined]
    return hashlib.sha256(_dump(tree).encode()).hexdigest()


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _dump(node: object) -> str:
    """Like `ast.dump`, without empty fields: the same on every Python version."""
    if isinstance(node, ast.AST):
        fields = [(name, value) for name, value in ast.iter_fields(node) if value not in (None, [])]
        return f"{type(node).__name__}({','.join(f'{name}={_dump(value)}' for name, value in fields)})"
    if isinstance(node, list):
        return f"[{','.join(map(_dump, node))}]"
    return repr(node)
