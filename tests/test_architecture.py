"""Imports point down the list of ARCHITECTURE.md, and the doors to TensorFlow are few."""

import ast
from pathlib import Path

import pytest

from sesemi import presets

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for folder in ("sesemi", "models", "datasets") for path in (ROOT / folder).rglob("*.py"))
# The floors from top to bottom; a module may import from the floors below its own, and its own package's leaves.
FLOORS = [
    {"sesemi.__main__"},
    {"sesemi.compare", "sesemi.predict", "sesemi.assess", "sesemi.converting", "sesemi.label_next"},
    {"sesemi.answers", "sesemi.formats"},
    {"sesemi.cli"},
    {"sesemi.runner"},
    {"sesemi.session"},
    {"sesemi.results"},
    {"sesemi.inspection", "sesemi.estimator"},
    {"sesemi.assembly", "sesemi.devices", "sesemi.inputs"},
    {"sesemi.callbacks", "sesemi.export", "sesemi.progress", "sesemi.saved"},
    {"sesemi.training"},
    {"sesemi.students"},
    {"sesemi.methods"},
    {"sesemi.methods.asl", "sesemi.methods.with_rotation"},
    # One file a method; `asl` stands on another.
    {f"sesemi.methods.{place.split(':')[0]}" for place in presets.METHODS.values()} - {"sesemi.methods.asl"},
    {"sesemi.network"},
    {"sesemi.methods.base", "sesemi.classifier", "sesemi.evaluate", "sesemi.checkpoint", "sesemi.splits"},
    {"sesemi.augment", "sesemi.teacher"},
    {"sesemi.randaugment", "sesemi.training_layers", "sesemi.report", "sesemi.label_files", "sesemi.calibration"},
    {"sesemi.pipeline"},
    {
        "sesemi.rng",
        "sesemi.losses",
        "sesemi.rotation",
        "sesemi.preprocess",
        "sesemi.quiet",
        "sesemi.schedules",
        "sesemi.mixing",
        "sesemi.memory",
        "sesemi.autodiff",
        "sesemi.promotion",
        "sesemi.monitor",
    },
    {"sesemi.workers"},
    {"sesemi.replicas"},
    {"sesemi.config", "sesemi.rendezvous"},
    {"sesemi.checks"},
    {"sesemi.presets", "sesemi.errors"},
    {"sesemi"},
]
FLOOR = {name: number for number, floor in enumerate(FLOORS) for name in floor}
MAY_IMPORT_DATA_AND_NETWORKS = {"sesemi.assembly", "sesemi.inputs"}
MAY_IMPORT_TENSORFLOW = {
    "sesemi.rng", "sesemi.pipeline", "sesemi.training_layers", "sesemi.training", "sesemi.evaluate", "sesemi.quiet",
    "sesemi.assembly", "sesemi.runner", "sesemi.teacher", "sesemi.autodiff", "sesemi.replicas", "sesemi.devices",
    "sesemi.workers", "sesemi.formats",
}  # fmt: skip
STANDARD_LIBRARY_ONLY = {
    "sesemi.rendezvous",
    "sesemi",
    "sesemi.cli",
    "sesemi.config",
    "sesemi.checks",
    "sesemi.presets",
    "sesemi.errors",
}


def module_name(path):
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path, top_level_only=False):
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else ast.walk(tree)
    known = {module_name(p) for p in SOURCES}
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in known else node.module)
    return found


def test_every_module_has_a_floor():
    modules = {module_name(p) for p in SOURCES if p.is_relative_to(ROOT / "sesemi")}
    assert modules == set(FLOOR)


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_imports_point_down(path):
    name = module_name(path)
    for imported in imports(path, top_level_only=name in ("sesemi.cli", "sesemi.config")):
        assert not imported.startswith("keras.src"), f"{name} imports {imported}"
        top = imported.split(".")[0]
        if name.startswith("sesemi"):
            if top in ("models", "datasets"):
                assert name in MAY_IMPORT_DATA_AND_NETWORKS, f"{name} imports {imported}"
            if top == "sesemi" and imported != "sesemi":
                assert FLOOR[imported] > FLOOR[name], f"{name} imports {imported}, which lies above it"
            if top == "tensorflow":
                assert name in MAY_IMPORT_TENSORFLOW, f"{name} imports tensorflow"
        else:
            others = {"sesemi", "tensorflow", "datasets", "models"} - {name.split(".")[0]}
            assert top not in others, f"{name} imports {imported}"


@pytest.mark.parametrize("name", sorted(STANDARD_LIBRARY_ONLY))
def test_the_command_line_needs_no_library(name):
    path = next(p for p in SOURCES if module_name(p) == name)
    heavy = {"keras", "tensorflow", "numpy", "sklearn", "matplotlib"}
    assert not {imported.split(".")[0] for imported in imports(path, top_level_only=True)} & heavy


def test_nothing_is_installed_as_a_package():
    text = (ROOT / "pyproject.toml").read_text()
    assert "[project]" not in text
    assert "[build-system]" not in text
