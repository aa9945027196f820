"""The files that help the next person agree with each other."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parent.parent
WORKFLOW = (ROOT / ".github" / "workflows" / "ci.yml").read_text()


def test_the_workflow_runs_the_checks_on_every_python():
    admitted = SpecifierSet(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"])
    named = json.loads(re.search(r"python: (\[.*\])", WORKFLOW).group(1))
    assert named == [f"3.{minor}" for minor in range(30) if f"3.{minor}" in admitted]
    assert "run: .ci/run\n" in WORKFLOW


@pytest.mark.parametrize("target", ["lint", "types", "test"])
def test_the_checks_are_those_of_the_makefile(target):
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(rf'^make VENV="\$environment/venv" {target}$', (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert re.search(r"^check: lint types coverage$", makefile, re.MULTILINE)


def test_the_hooks_have_the_ruff_of_the_lint():
    (pinned,) = re.findall(r"^ruff.*$", (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE)
    assert re.findall(r'\["(.*)"\]', (ROOT / ".pre-commit-config.yaml").read_text()) == [pinned, pinned]


def test_what_contributing_and_the_changelog_name_is_there():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    targets = re.findall(r"\bmake (?:PYTHON=\S+ )?([a-z]+)", text)
    assert {"test", "lint", "types", "coverage", "check", "wheel"} <= set(targets)
    for target in targets:
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
    for path in re.findall(r"(?<![\w/.])((?:tests|sesemi|models|datasets|examples)/[\w./]*\w)", text):
        assert (ROOT / path).exists(), path
    sesemi_version = re.search(r'__version__ = "(.*)"', (ROOT / "sesemi" / "__init__.py").read_text()).group(1)
    assert f"\n## {sesemi_version}\n" in (ROOT / "CHANGELOG.md").read_text()
