"""The references of the client libraries, docs/clients/reference-*.md, from their code."""

import ast
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from local_stack.layout import CHECKOUT

PYTHON = CHECKOUT / "clients/python/src/countersign_client"
TYPESCRIPT = CHECKOUT / "clients/typescript"
TARGETS = CHECKOUT / "docs/clients"
_ENTRIES = {"countersign_client": "__init__", "countersign_client.webhooks": "webhooks"}
_TEXT_FIELD = "_Text("
"""A field of an error that is read from its response."""
_FIELD_DOCSTRING = re.compile(r'^( +)"(?!"")(.*)"$', re.MULTILINE)
_LINE = "100"
_WITHIN_S = 60
_HEAD = """\
# Reference: Python

Written by `make generate` from `clients/python/src`. The guide is the
[README](../../clients/python/README.md); [errors.md](errors.md) says what to do about each error.
"""


def has_typescript() -> bool:
    """Whether the tools that read TypeScript are installed."""
    return shutil.which("node") is not None and (TYPESCRIPT / "node_modules").is_dir()


def reference_files() -> Mapping[Path, str]:
    """Return the text of both references. Raises RuntimeError with the fault of a program."""
    return {
        TARGETS / "reference-python.md": python_reference(),
        TARGETS / "reference-typescript.md": _run(["node", "reference.js"], TYPESCRIPT),
    }


def python_reference() -> str:
    """Return each public name of the Python library, with its docstring, without its body."""
    modules = {path.stem: ast.parse(path.read_text()) for path in sorted(PYTHON.glob("*.py"))}
    known = {name: node for tree in modules.values() for name, node in _definitions(tree)}
    sections = []
    for title, module in _ENTRIES.items():
        listed = _public(modules[module])
        public = [name for name in listed if name in known and not name.startswith("_")]
        named = _named_types([known[name] for name in public], known)
        sections.append((title, [(name, known[name]) for name in [*public, *named]]))
    stubs = [[ast.unparse(_declared(node)) for _, node in nodes] for _, nodes in sections]
    formatted = iter(_formatted(stub for group in stubs for stub in group))
    lines = [_HEAD]
    for title, nodes in sections:
        lines.append(f"\n## `{title}`")
        for name, node in nodes:
            prose = f"{text}\n\n" if (text := _docstring(node)) else ""
            lines.append(f"\n### {name}\n\n{prose}```python\n{next(formatted)}\n```")
    return "\n".join(lines) + "\n"


def _definitions(tree: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node


def _public(tree: ast.Module) -> list[str]:
    """Return the names of `__all__`, or all that are defined without an underscore."""
    for name, node in _definitions(tree):
        if name == "__all__" and isinstance(node, ast.Assign):
            listed: list[str] = ast.literal_eval(node.value)
            return listed
    return [
        name
        for name, node in _definitions(tree)
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not name.startswith("_")
    ]


def _named_types(nodes: Iterable[ast.stmt], known: Mapping[str, ast.stmt]) -> list[str]:
    """Return the aliases of types that the declarations mention, such as `Token`."""
    mentioned = {
        one.id
        for node in nodes
        for one in ast.walk(_declared(node))
        if isinstance(one, ast.Name) and isinstance(known.get(one.id), ast.Assign)
    }
    return sorted(name for name in mentioned if name[0].isupper() and not name.isupper())


def _docstring(node: ast.stmt) -> str:
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return ast.get_docstring(node) or ""
    return ""


def _declared(node: ast.stmt) -> ast.stmt:
    """Return a definition without its own docstring, private members and bodies."""
    copy = ast.parse(ast.unparse(node)).body[0]
    if isinstance(copy, ast.FunctionDef):
        copy.body = [_dots()]
    elif isinstance(copy, ast.ClassDef):
        copy.bases = [one for one in copy.bases if not ast.unparse(one).startswith("_")]
        inside = copy.body[1:] if _docstring(copy) else copy.body
        copy.body = [_member(one) for one in inside if _is_public(one)] or [_dots()]
    return copy


def _member(node: ast.stmt) -> ast.stmt:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        node.body = [*(node.body[:1] if ast.get_docstring(node) else []), _dots()]
    elif isinstance(node, ast.Assign) and ast.unparse(node.value).startswith(_TEXT_FIELD):
        return ast.parse(f"{ast.unparse(node.targets[0])}: str").body[0]
    return node


def _is_public(node: ast.stmt) -> bool:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        is_constructor = node.name == "__init__"
        return is_constructor or not (node.name.startswith("_") or _is_classmethod(node))
    if isinstance(node, ast.Assign):
        return not ast.unparse(node.targets[0]).startswith("_")
    return True


def _is_classmethod(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether it makes an object of a response, which no application does."""
    return any(ast.unparse(one) == "classmethod" for one in node.decorator_list)


def _dots() -> ast.Expr:
    return ast.Expr(ast.Constant(...))


def _formatted(stubs: Iterable[str]) -> list[str]:
    """Return the stubs with lines as long as those of the code, by one call of the formatter."""
    between = "\n\n\n_ = 0\n\n\n"
    given = _FIELD_DOCSTRING.sub(r'\1"""\2"""', between.join(stubs))
    ruff = Path(sysconfig.get_path("scripts")) / "ruff"
    command = [str(ruff), "format", "--isolated", "--line-length", _LINE, "-"]
    return [one.strip() for one in _run(command, PYTHON, given).split("\n_ = 0\n")]


def _run(command: list[str], folder: Path, given: str = "") -> str:
    done = subprocess.run(  # noqa: S603 - programs of the checkout
        command,
        cwd=folder,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=_WITHIN_S,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr}")
    return done.stdout
