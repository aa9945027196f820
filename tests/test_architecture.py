"""Imports point down the table of rooms in ARCHITECTURE.md, rooms hold no circles, and few modules know TensorFlow."""

import ast
import graphlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# The floor of each room, as in the table of ARCHITECTURE.md; a room may import from the floors below its own.
FLOORS = {
    "__main__": 8,
    "commands": 7,
    "runs": 6,
    "estimator": 6,
    "assembly": 5,
    "training": 4,
    "inference": 3,
    "methods": 3,
    "pipeline": 3,
    "distribution": 3,
    "augmentation": 2,
    "config": 2,
    "primitives": 1,
    "report": 1,
    "models": 1,
    "datasets": 2,
    "files": 1,
    "keras_settings": 0,
    "reading": 1,
    "tables": 1,
    "errors": 0,
    "terminal": 0,
    "": 0,
}
MAY_IMPORT_DATA_AND_NETWORKS = {"assembly", "inference"}
# The only modules that may import TensorFlow: where Keras has no word for the thing.
MAY_IMPORT_TENSORFLOW = {
    "primitives": {"rng", "autodiff", "replicas", "layers"},
    "pipeline": {"batches", "pixels"},
    "distribution": {"start", "devices", "workers"},
    "inference": {"predictions", "formats", "picture_input"},
    "training": {"model", "teacher"},
    "assembly": {"build", "materials"},
    "runs": {"run", "environment"},
}
# The command line answers before any library is loaded: at the top of these files only the standard library.
STANDARD_LIBRARY_ONLY = ("", "__main__", "commands", "config", "errors", "files", "reading", "tables", "terminal")
AND_THESE = {"sesemi.distribution.rendezvous"}
NOT_THESE = {"sesemi.commands.evaluate", "sesemi.commands.export"}
LIBRARIES = {"keras", "tensorflow", "numpy", "sklearn", "matplotlib", "scipy", "PIL"}


def module_name(path):
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    parts = parts if parts[0] == "sesemi" else ["sesemi", *parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {
    module_name(path): path
    for folder in ("sesemi", "models", "datasets")
    for path in sorted((ROOT / folder).rglob("*.py"))
}


def room_of(name):
    return [*name.split("."), ""][1]


def imports(name, top_level_only=False):
    """Modules that a module imports; of our own those that the names stand for."""
    tree = ast.parse(SOURCES[name].read_text())
    found = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in SOURCES else node.module)
    return found


def own(modules):
    return {module for module in modules if module in SOURCES}


def test_every_room_has_a_floor():
    assert {room_of(name) for name in SOURCES} == set(FLOORS)


@pytest.mark.parametrize("name", SOURCES)
def test_imports_point_down(name):
    room = room_of(name)
    for imported in own(imports(name)):
        other = room_of(imported)
        assert other == room or FLOORS[other] < FLOORS[room], f"{name} imports {imported}, which does not lie below it"
        if other in ("models", "datasets") and other != room:
            assert room in MAY_IMPORT_DATA_AND_NETWORKS, f"{name} imports {imported}"


@pytest.mark.parametrize("room", FLOORS)
def test_a_room_holds_no_circle(room):
    inside = {name for name in SOURCES if room_of(name) == room}
    graph = {name: own(imports(name)) & inside - {name} for name in inside}
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("name", SOURCES)
def test_few_modules_know_tensorflow(name):
    tops = {imported.split(".")[0] for imported in imports(name)}
    assert not any(imported.startswith("keras.src") for imported in imports(name))
    assert not tops & {"models", "datasets"}, "say sesemi.models, sesemi.datasets"
    if "tensorflow" in tops:
        assert name.rpartition(".")[2] in MAY_IMPORT_TENSORFLOW.get(room_of(name), ()), f"{name} imports tensorflow"


@pytest.mark.parametrize(
    "name",
    [n for n in SOURCES if (room_of(n) in STANDARD_LIBRARY_ONLY or n in AND_THESE) and n not in NOT_THESE],
)
def test_the_command_line_needs_no_library(name):
    assert not {imported.split(".")[0] for imported in imports(name, top_level_only=True)} & LIBRARIES


@pytest.mark.parametrize("name", [name for name in SOURCES if room_of(name) not in ("", "__main__", "commands")])
def test_flags_are_written_by_commands_alone(name):
    tree = ast.parse(SOURCES[name].read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {id(node.body[0].value) for node in ast.walk(tree)
                  if isinstance(node, documented) and isinstance(node.body[0], ast.Expr)}  # fmt: skip
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docstrings]
    assert not [text for text in texts if isinstance(text, str) and re.search(r"(?<!\w)--[a-z]", text)]


def test_tests_lie_where_their_subject_lies():
    for path in (ROOT / "tests").rglob("test_*.py"):
        room = path.relative_to(ROOT / "tests").parts[0]
        assert room in FLOORS or room == path.name, path
