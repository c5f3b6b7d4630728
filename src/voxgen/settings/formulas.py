"""A digest of the formulas that a stage reaches, so that a changed formula makes its results stale.

A formula is a function, a class or a constant at the top of a module. Those of a stage are its own function
and, from there on, whatever a formula names. Each is digested as a syntax tree of what computes: without
comments, docstrings and annotations, without imports and the names of modules, without the texts of errors,
log lines and warnings. So a reworded message, or a function that moves to another module, changes no digest.

Left out is what carries values, files or a training and has no formulas: `CARRIERS`.
"""

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
CARRIERS = (
    "voxgen.errors",
    "voxgen.io.files",
    "voxgen.machine.ahead",
    "voxgen.machine.environment",
    "voxgen.machine.memory",
    "voxgen.models.folder",
    "voxgen.settings",
    "voxgen.training.artefact",
    "voxgen.training.checkpoints",
    "voxgen.training.distributed",
    "voxgen.training.identity",
    "voxgen.training.lock",
    "voxgen.training.monitor",
)
SPEAKERS = ("logging", "warnings")  # what they are told reaches people, not results

Place = tuple[str, str]  # a module and the name of a formula in it


def formula_digest(module: str) -> str:
    """Digest of the formulas behind the function of a module's own name, e.g. of "voxgen.stages.voxelize".

    Raises:
        ModuleNotFoundError: there is no such module.
    """
    combined = [f"{name}:{digest};" for (_, name), digest in formulas(module).items()]
    folders = {_source(module).parent / "templates" for module, _ in formulas(module)}
    templates = sorted(file for folder in folders for file in folder.glob("*"))
    combined += [f"{file.name}:{hashlib.sha256(file.read_bytes()).hexdigest()};" for file in templates]
    return hashlib.sha256("".join(sorted(combined)).encode()).hexdigest()[:16]


@cache
def formulas(module: str) -> dict[Place, str]:
    """The digest of each formula that the function of a module's own name reaches, itself included."""
    pending, found = [(module, module.rpartition(".")[2])], dict[Place, str]()
    while pending:
        place = pending.pop()
        if place not in found and not _carries(place[0]):
            found[place], named = _formula(*place)
            pending += named
    return found


def _carries(module: str) -> bool:
    return any(module == carrier or module.startswith(f"{carrier}.") for carrier in CARRIERS)


@cache
def _formula(module: str, name: str) -> tuple[str, list[Place]]:
    """The digest of one formula, with the statements of its module that have no name, and what it names."""
    parsed = _parsed(module)
    statements = [*parsed.defined[name], *parsed.loose]
    named = [place for statement in statements for place in parsed.named_in(statement)]
    said = "".join(_dump(statement) for statement in statements)
    return hashlib.sha256(said.encode()).hexdigest()[:16], named


@dataclass
class _Module:
    """The top of a module: what defines each name, where imported names come from, and other statements."""

    name: str
    defined: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imported: dict[str, Place | str] = field(default_factory=dict)
    loose: list[ast.stmt] = field(default_factory=list)

    def named_in(self, statement: ast.stmt) -> Iterator[Place]:
        """The formulas of voxgen that a statement names, of this module and of others."""
        for first, *rest in _chains(statement):
            if first in self.imported:
                yield from _followed(self.imported[first], rest)
            elif first in self.defined:
                yield self.name, first


def _followed(target: Place | str, rest: list[str]) -> Iterator[Place]:
    """The formulas behind an imported name and the attributes asked of it; of a bare module, all of them."""
    if isinstance(target, str):
        module = _parsed(target)
        if not rest:
            yield from ((target, name) for name in module.defined)
        elif _exists(f"{target}.{rest[0]}"):
            yield from _followed(f"{target}.{rest[0]}", rest[1:])
        else:
            yield from _followed((target, rest[0]), rest[1:])
        return
    module = _parsed(target[0])
    if target[1] in module.defined:
        yield target
    elif target[1] in module.imported:
        yield from _followed(module.imported[target[1]], rest)


def _chains(node: ast.AST) -> Iterator[list[str]]:
    """The longest `a.b.c` of each use of a name in a tree, as its parts."""
    if chain := _chain(node):
        yield chain
        return
    for part in ast.iter_child_nodes(node):
        yield from _chains(part)


def _chain(node: ast.AST) -> list[str]:
    """The names in `a.b.c`, or in `a`; none for anything else."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return [node.id, *names] if isinstance(node, ast.Name) else []


@cache
def _parsed(module: str) -> _Module:
    tree = ast.parse(_source(module).read_text())
    speaking = set(SPEAKERS) | {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and _chain(getattr(node.value, "func", node))[:1] == ["logging"]
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found = _Module(module, imported=_imports(tree))
    for statement in tree.body:
        names = _names(statement)
        for silent in _Silent(speaking).statements([statement]):
            for name in names:
                found.defined.setdefault(name, []).append(silent)
            if not names:
                found.loose.append(silent)
    return found


def _names(statement: ast.stmt) -> list[str]:
    """The names that a statement at the top of a module defines."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    targets = getattr(statement, "targets", [getattr(statement, "target", None)])
    return [
        node.id for target in targets if target for node in ast.walk(target) if isinstance(node, ast.Name)
    ]


def _imports(tree: ast.Module) -> dict[str, Place | str]:
    """What imports from voxgen bind anywhere in a module: a module, or a place in one."""
    found: dict[str, Place | str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "voxgen":
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                place = (str(node.module), alias.name)
                found[alias.asname or alias.name] = whole if _exists(whole) else place
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "voxgen":
                    found[alias.asname or "voxgen"] = alias.name if alias.asname else "voxgen"
    return found


def _exists(module: str) -> bool:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _source(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    if not _exists(module):
        raise ModuleNotFoundError(module)
    return path.with_suffix(".py") if path.with_suffix(".py").is_file() else path / "__init__.py"


class _Silent(ast.NodeTransformer):
    """Leaves of a tree what computes; `speaking` are the names that log and warn."""

    def __init__(self, speaking: set[str]) -> None:
        self._speaking = speaking

    def statements(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """Statements without those that only speak, document, import or guard a main program."""
        visited = [self.visit(node) for node in body if not self._is_silent(node)]
        return [node for node in visited if node is not None]

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for name in ("body", "orelse", "finalbody"):
            if isinstance(body := getattr(node, name, None), list):
                setattr(node, name, [statement for statement in body if not self._is_silent(statement)])
        return super().generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        self.generic_visit(node)
        _drop_unused_texts(node)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return ast.Raise(exc=ast.Constant(ast.unparse(raised)) if raised else None, cause=None)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        node.msg = None
        return self.generic_visit(node)

    def _is_silent(self, node: ast.stmt) -> bool:
        if isinstance(node, ast.Import | ast.ImportFrom):
            return True
        if isinstance(node, ast.If):
            return ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'")
        if isinstance(node, ast.Assign):
            return _chain(getattr(node.value, "func", node))[:1] == ["logging"]
        if not isinstance(node, ast.Expr):
            return False
        called = node.value
        while isinstance(called, ast.Call | ast.Attribute):
            called = called.func if isinstance(called, ast.Call) else called.value
        speaks = isinstance(called, ast.Name) and called.id in self._speaking
        return speaks or (isinstance(called, ast.Constant) and isinstance(called.value, str))


def _drop_unused_texts(function: ast.AST) -> None:
    """Drop texts that were put together for a message alone: nothing that is left reads their name."""
    while True:
        read = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and _is_read(node)}
        read |= {name for node in ast.walk(function) for name in _shared(node)}
        dropped = 0
        for node in ast.walk(function):
            if isinstance(body := getattr(node, "body", None), list):
                kept = [statement for statement in body if not _is_unused_text(statement, read)]
                dropped += len(body) - len(kept)
                node.body = kept  # type: ignore[attr-defined]
        if not dropped:
            return


def _shared(node: ast.AST) -> list[str]:
    """Names that others may read: of outer functions, of the module, of a class."""
    if isinstance(node, ast.ClassDef):
        return [name for statement in node.body for name in _names(statement)]
    return node.names if isinstance(node, ast.Nonlocal | ast.Global) else []


def _is_read(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Load)


def _is_unused_text(node: ast.stmt, read: set[str]) -> bool:
    if not isinstance(node, ast.Assign):
        return False
    named = [target.id for target in node.targets if isinstance(target, ast.Name)]
    return len(named) == len(node.targets) and not read & set(named) and _is_text(node.value)


def _is_text(node: ast.expr) -> bool:
    if isinstance(node, ast.IfExp):
        return _is_text(node.body) and _is_text(node.orelse)
    if isinstance(node, ast.BinOp):
        return _is_text(node.left) or _is_text(node.right)
    joins = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "join"
    constant = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return isinstance(node, ast.JoinedStr) or joins or constant


def _dump(node: object) -> str:
    """Like `ast.dump`, without empty fields: the same on every Python version."""
    if isinstance(node, ast.AST):
        fields = [(name, value) for name, value in ast.iter_fields(node) if value not in (None, [])]
        return f"{type(node).__name__}({','.join(f'{name}={_dump(value)}' for name, value in fields)})"
    if isinstance(node, list):
        return f"[{','.join(map(_dump, node))}]"
    return repr(node)
