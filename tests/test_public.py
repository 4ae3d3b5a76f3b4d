"""The names that `import ojak` gives."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import ojak


def typed() -> dict[str, str]:
    """The names that type checkers are told of, and where they come from."""
    tree = ast.parse(Path(ojak.__file__).read_text(encoding="utf-8"))
    (block,) = (n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    return {
        alias.asname or alias.name: node.module or ""
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_the_lists_of_names_agree() -> None:
    assert ojak.__all__ == sorted(ojak.__all__)
    assert list(ojak._PLACES) == ojak.__all__
    assert typed() == ojak._PLACES
    assert dir(ojak) == ojak.__all__


@pytest.mark.parametrize("name", ojak.__all__)
def test_every_name_is_there_with_words_about_it(name: str) -> None:
    found = getattr(ojak, name)
    assert found is getattr(importlib.import_module(ojak._PLACES[name]), name)
    assert found.__module__ == ojak._PLACES[name], "the place where it is made"
    about = inspect.getdoc(found)
    assert about and about.rstrip().endswith((".", ":", "`", "]"))
    if inspect.isclass(found):
        for member, value in vars(found).items():
            if inspect.isfunction(value) and not member.startswith("_"):
                assert inspect.getdoc(value), f"{name}.{member}"


def test_a_name_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'lod'; it has .*load"):
        ojak.lod  # noqa: B018


@pytest.mark.parametrize("first", ["", "import ojak.train.run; "])
def test_no_order_of_imports_hides_a_name(first: str) -> None:
    """A module imported puts itself under its name in its package: no public name may be a module's too."""
    code = (
        f"{first}import ojak, inspect\n"
        "for _ in range(2):\n"
        "    for name in ojak.__all__: assert not inspect.ismodule(getattr(ojak, name)), name\n"
        "from ojak import *\n"
        "assert callable(train_run) and callable(load)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr


def test_no_public_name_is_that_of_a_module() -> None:
    folder = Path(ojak.__file__).parent
    modules = {path.stem for path in folder.glob("*.py")} | {path.name for path in folder.iterdir() if path.is_dir()}
    assert not modules & set(ojak.__all__)


def test_importing_ojak_imports_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import ojak; print(*sorted(set(sys.modules) - before))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert not {name for name in found.stdout.split() if name.startswith("ojak.")}
    assert not {"torch", "numpy", "pydantic"} & set(found.stdout.split())
