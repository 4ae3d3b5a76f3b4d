"""The rules of import, which keep the layers apart, and what must stand nowhere in the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import ojak

PACKAGE = Path(ojak.__file__).parent
SOURCES = {
    ".".join(("ojak", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}

# From left to right as docs/design.md draws them. A module belongs to the longest name here that it begins with, and
# imports from its own layer and from those before it.
LAYERS: list[tuple[str, ...]] = [
    ("ojak.errors",),
    (
        *("ojak.files", "ojak.config", "ojak.presets", "ojak.text", "ojak.result", "ojak.maps", "ojak.words"),
        "ojak.corpus.pair",
    ),
    ("ojak.corpus", "ojak.evaluate.metrics", "ojak.batch", "ojak.workers", "ojak.evaluate"),
    ("ojak.model",),
    ("ojak.compiled",),
    ("ojak.search",),
    ("ojak.attribution",),
    ("ojak.translate",),
    ("ojak.train", "ojak.align"),
    (
        *(f"ojak.evaluate.{name}" for name in "report measured table plots listing page".split()),
        *("ojak.look", "ojak.lab", "ojak.export", "ojak.serve"),
    ),
    ("ojak.commands",),
    ("ojak.cli",),
    ("ojak.__main__",),
]
EXCEPTIONS = {
    ("ojak.result", "ojak.look.figures"),  # a Translation draws itself in a notebook, imported when it is asked to
    ("ojak.maps", "ojak.look.figures"),  # and so does a Map
}
TOGETHER = {"ojak.train.lifeline", "ojak.train.parallel", "ojak.train.sharding"}
HEAVY = {"torch", "numpy", "pydantic", "sacrebleu", "sentencepiece", "safetensors", "rich", "tensorboardX", "fastapi"}


@dataclass(frozen=True)
class Import:
    """One name that a module imports."""

    of: str
    what: str
    line: int
    within: str
    """the function or class it stands in; empty at the top"""


def imports(name: str) -> Iterator[Import]:
    """All imports of a module: `from a import b` imports a.b where that is a module, and a where it is not."""
    for node, within in walk(ast.parse(SOURCES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(name, alias.name, node.lineno, within)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{name}:{node.lineno}: imports are absolute"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield Import(name, whole if whole in SOURCES else node.module, node.lineno, within)


def walk(tree: ast.AST, within: str = "") -> Iterator[tuple[ast.AST, str]]:
    for child in ast.iter_child_nodes(tree):
        yield child, within
        inner = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else ""
        yield from walk(child, f"{within}.{inner}".strip("."))


ALL = [found for name in SOURCES for found in imports(name)]


def layer(name: str) -> int:
    fitting = [(len(n), i) for i, names in enumerate(LAYERS) for n in names if name == n or name.startswith(n + ".")]
    assert fitting, f"{name} has no layer: give it its place here and in docs/design.md"
    return max(fitting)[1]


def test_every_module_is_looked_at() -> None:
    assert len(SOURCES) > 50 and len(ALL) > 300
    assert {"ojak", "ojak.model.seam", "ojak.train.loop", "ojak.text"} <= SOURCES.keys()
    assert Import("ojak.model.build", "ojak.model.recurrent", 6, "") in ALL


def test_imports_go_one_way() -> None:
    backwards = [
        f"{found.of}:{found.line} imports {found.what}"
        for found in ALL
        if found.what.startswith("ojak.") and found.of != "ojak"
        if layer(found.what) > layer(found.of) and (found.of, found.what) not in EXCEPTIONS
    ]
    assert backwards == []


def test_the_exceptions_are_needed_and_lazy() -> None:
    found = {(one.of, one.what): one.within for one in ALL}
    for exception in EXCEPTIONS:
        assert found[exception], "it must be imported within a function"
        assert layer(exception[1]) > layer(exception[0])


def test_the_top_module_imports_its_names_when_asked_only() -> None:
    """What stands under `if TYPE_CHECKING` is for type checkers."""
    tree = ast.parse(SOURCES["ojak"].read_text(encoding="utf-8"))
    direct = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert {node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in direct} <= {
        "__future__",
        "importlib",
        "typing",
    }


def test_architectures_are_named_in_one_place() -> None:
    naming = {one.of for one in ALL if one.what in ("ojak.model.recurrent", "ojak.model.transformer")}
    # What an engine or a layout of others is made from is told by the Transformer itself.
    about = {"ojak.export.ctranslate2", "ojak.export.marian", "ojak.compiled"}
    about |= {"ojak.compiled.transformer", "ojak.compiled.recurrent"}
    assert naming - about == {"ojak.model.build"}


def test_what_compiles_is_imported_when_a_model_is_compiled_only() -> None:
    for one in ALL:
        if one.what.startswith("ojak.compiled.") and not one.of.startswith("ojak.compiled."):
            assert one.of == "ojak.compiled" and one.within, f"{one.of}:{one.line} imports {one.what}"


def test_no_architecture_knows_another() -> None:
    for one in ALL:
        assert {one.of, one.what} != {"ojak.model.recurrent", "ojak.model.transformer"}


def test_search_knows_the_seam_alone() -> None:
    known = {one.what for one in ALL if one.of.startswith("ojak.search") and one.what.startswith("ojak.model")}
    assert known == {"ojak.model.seam"}


def test_several_processes_are_the_business_of_three_modules() -> None:
    distributed = {one.of for one in ALL if one.what.startswith(("torch.distributed", "torch.multiprocessing"))}
    assert distributed == TOGETHER
    for name, path in SOURCES.items():
        if name not in TOGETHER:
            assert "torch.distributed" not in path.read_text(encoding="utf-8"), name


def reached(name: str) -> dict[str, str]:
    """Everything that importing a module imports, by way of the package's own modules, and by whom."""
    seen: dict[str, str] = {}
    waiting = [(name, "")]
    while waiting:
        what, by = waiting.pop()
        if what in seen:
            continue
        seen[what] = by
        parts = what.split(".")
        parents = [".".join(parts[:count]) for count in range(2, len(parts))] if parts[0] == "ojak" else []
        waiting += [(parent, what) for parent in parents]  # a package's __init__ runs before its modules
        # the top module imports nothing by itself
        waiting += [(one.what, what) for one in ALL if one.of == what and not one.within and what != "ojak"]
    return seen


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in SOURCES
        if n in ("ojak.result", "ojak.maps", "ojak.words", "ojak.attribution.agreement", "ojak.evaluate.metrics")
        or n.startswith("ojak.look")
    ],
)
def test_results_and_figures_and_scores_need_no_torch(name: str) -> None:
    found = reached(name)
    assert not [f"{what} by {by}" for what, by in found.items() if what.split(".")[0] == "torch"]
    assert not [one for one in ALL if one.of == name and one.what.split(".")[0] == "torch"]


def test_the_parser_of_the_command_line_imports_nothing_heavy() -> None:
    found = reached("ojak.cli")
    assert not [f"{what} by {by}" for what, by in found.items() if what.split(".")[0] in HEAVY]
    assert "torch" in {
        what.split(".")[0] for what in reached("ojak.translate")
    }  # the search itself finds what is there


def test_only_declared_packages_are_imported() -> None:
    import sys
    import tomllib

    project = tomllib.loads((PACKAGE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project.get("optional-dependencies", {})
    every = [*project["dependencies"], *(line for extra, lines in optional.items() if extra != "dev" for line in lines)]
    names = {line.split(">")[0].split("=")[0].split("<")[0].split(".")[0].strip().replace("-", "_") for line in every}
    hard = {
        line.split(">")[0].split("=")[0].split(".")[0].strip().replace("-", "_") for line in project["dependencies"]
    }
    standard = {*sys.stdlib_module_names, "compression"}  # of Python 3.14
    for one in ALL:
        top = one.what.split(".")[0]
        if top not in standard and top != "ojak":
            assert top in names, f"{one.of}:{one.line} imports {top}, which pyproject.toml does not name"
            # All of `ojak.compiled` but its face is imported when a model is compiled.
            within = one.within or one.of.startswith("ojak.compiled.")
            assert top in hard or within, f"{one.of}:{one.line}: {top} is optional and must be imported when needed"


FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "torch.save", "torch.load", "sys.exit", "os._exit"}
EXITS = {("sys.exit", "ojak.cli"), ("sys.exit", "ojak.__main__")}
PICKLES = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
NETWORK = {"urllib", "http", "requests", "httpx", "socket"}
CONNECTED = {("socket", "ojak.train.lifeline")}  # the processes of one run with each other, as gloo does


def called(node: ast.Call) -> str:
    parts = []
    at: ast.expr = node.func
    while isinstance(at, ast.Attribute):
        parts.append(at.attr)
        at = at.value
    return ".".join([at.id if isinstance(at, ast.Name) else "…", *reversed(parts)])


@pytest.mark.parametrize("name", SOURCES)
def test_nothing_that_could_run_a_file_or_hide_an_option(name: str) -> None:
    """No pickle in any dress, no code from text, no `**kwargs`, no exit but the command line's."""
    faults = []
    for node, _ in walk(ast.parse(SOURCES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and node.args.kwarg:
            permitted = name == "ojak.train.history" and node.args.kwarg.arg == "values"
            if not permitted:
                faults.append(f"{node.lineno}: **{node.args.kwarg.arg}")
        if isinstance(node, ast.Call):
            call = called(node)
            if call in FORBIDDEN_CALLS and (call, name) not in EXITS:
                faults.append(f"{node.lineno}: {call}(")
            if any(word.arg == "allow_pickle" for word in node.keywords):
                faults.append(f"{node.lineno}: allow_pickle")
    for one in ALL:
        if one.of == name and one.what.split(".")[0] in PICKLES:
            faults.append(f"{one.line}: {one.what}")
        top = one.what.split(".")[0]
        if one.of == name and top in NETWORK and (top, name) not in CONNECTED:
            faults.append(f"{one.line}: {one.what}, but nothing is fetched at run time")
    assert faults == []
