"""The package as people install it: what it says about itself, and a wheel that works without the checkout."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from PIL import Image
from sklearn.datasets import load_digits

import sesemi

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def pins(name):
    """Of a file of requirements, without those that it includes: a specifier by name."""
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    found = [Requirement(line) for line in lines if line and not line.startswith("-r")]
    return {requirement.name: requirement.specifier for requirement in found}


def ranges(requirements):
    """Of the project's requirements, without the extras of its own that one names."""
    found = [Requirement(text) for text in requirements]
    return {requirement.name: requirement.specifier for requirement in found if requirement.name != PROJECT["name"]}


def smallest_and_largest(pin):
    """Of the versions that a pin ``~=`` admits."""
    (one,) = pin
    assert one.operator == "~=", pin
    return Version(one.version), Version(f"{one.version.rpartition('.')[0]}.9999")


EXTRAS = PROJECT["optional-dependencies"]
DECLARED = ranges(PROJECT["dependencies"])
PINNED = pins("requirements.txt")
TOOLS = ranges(EXTRAS["dev"]) | ranges(EXTRAS["onnx"])


def test_what_is_declared_is_what_is_pinned():
    assert set(DECLARED) == set(PINNED)
    assert set(TOOLS) == set(pins("requirements-dev.txt"))


@pytest.mark.parametrize("name", [*PINNED, *pins("requirements-dev.txt")])
def test_pins_satisfy_the_ranges(name):
    pinned = (PINNED | pins("requirements-dev.txt"))[name]
    for version in smallest_and_largest(pinned):
        assert (DECLARED | TOOLS)[name].contains(version), f"{name}{pinned}: {version}"


def test_the_versions_that_run_these_tests_satisfy_the_ranges():
    for name, admitted in DECLARED.items():
        assert admitted.contains(importlib.metadata.version(name), prereleases=True), name


def test_the_version_stands_in_one_place():
    assert "version" in PROJECT["dynamic"]
    assert SETUPTOOLS["dynamic"]["version"] == {"attr": "sesemi.__version__"}
    # A literal, so that a build reads it without importing TensorFlow.
    assert f'\n__version__ = "{sesemi.__version__}"\n' in (ROOT / "sesemi" / "__init__.py").read_text()


def test_the_pythons_of_the_makefile_are_those_of_the_project():
    low, high = re.search(r"not \((\d, \d+)\) <= .* <= \((\d, \d+)\)", (ROOT / "Makefile").read_text()).groups()
    admitted = SpecifierSet(PROJECT["requires-python"])
    first, last = (int(text.split(", ")[1]) for text in (low, high))
    assert [f"3.{minor}" in admitted for minor in (first - 1, first, last, last + 1)] == [False, True, True, False]
    named = [line.rsplit(" ", 1)[1] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)]
    assert named == [f"3.{minor}" for minor in range(first, last + 1)]


def folders_of_code():
    """Each folder with an `__init__.py`, as the name of the package that it is."""
    for top in ("sesemi", "models", "datasets"):
        for path in (ROOT / top).rglob("__init__.py"):
            name = ".".join(path.parent.relative_to(ROOT).parts)
            yield name if top == "sesemi" else f"sesemi.{name}"


def test_every_room_is_packaged():
    assert sorted(SETUPTOOLS["packages"]) == sorted(folders_of_code())


def write_foreign(place):
    """Other people's packages with the names of our folders, which must not be imported."""
    for name in ("models", "datasets"):
        (place / name).mkdir()
        (place / name / "__init__.py").write_text("raise ImportError('not of sesemi')\n")


def test_other_packages_named_models_and_datasets_are_left_alone(tmp_path):
    write_foreign(tmp_path)
    # To import the trunks would load Keras.
    code = "import importlib.util, sesemi.datasets; print(importlib.util.find_spec('sesemi.models').origin, "
    code += "sesemi.datasets.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(ROOT / name / "__init__.py") for name in ("models", "datasets")]


def checkout(place):
    """A copy of the code, with a data set of 2019 beside the loaders."""
    place.mkdir()
    for folder in ("sesemi", "models", "datasets"):
        shutil.copytree(ROOT / folder, place / folder, ignore=lambda _, names: {n for n in names if "-" in n})
    for file in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / file, place)
    (place / "datasets" / "cifar-10").mkdir()
    (place / "datasets" / "cifar-10" / "data_batch_1").touch()
    return place


def files_below(folder):
    """With their sizes; what Python compiles aside."""
    return {
        path.relative_to(folder): path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


class Installed:
    """An environment that holds the wheel, sees this one's dependencies, and does not see the checkout."""

    def __init__(self, place, wheel):
        venv.create(place / "venv", symlinks=os.name != "nt")
        self.bin = place / "venv" / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.bin / "python"
        pip = [sys.executable, "-m", "pip", "--python", str(self.python), "--disable-pip-version-check", "install"]
        subprocess.run([*pip, "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
        ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
        self.packages = Path(subprocess.check_output([self.python, "-c", ask], text=True).strip())
        others = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
        (self.packages / "others.pth").write_text("\n".join(others) + "\n")
        self.empty = place / "empty"
        self.empty.mkdir()
        self.files = files_below(self.packages)

    def run(self, *command):
        """What a command prints, in the empty folder."""
        done = subprocess.run(
            list(map(str, command)),
            cwd=self.empty,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def sesemi(self, *arguments):
        """What the console command prints."""
        return self.run(self.bin / "sesemi", *arguments)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    place = tmp_path_factory.mktemp("wheel")
    source = checkout(place / "checkout")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(place / "dist"), str(source)]
    subprocess.run(build, check=True, capture_output=True, text=True)
    (found,) = (place / "dist").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    return Installed(tmp_path_factory.mktemp("installed"), wheel)


def write_digits(folder):
    """Forty labeled, forty unlabeled and twenty test pictures."""
    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images[:100], digits.target, strict=False)):
        part = f"labeled/{label % 2}" if number < 40 else "unlabeled" if number < 80 else f"test/{label % 2}"
        (folder / part).mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 255 / 16).astype("uint8")).save(folder / part / f"{number}.png")


@pytest.mark.slow
def test_the_wheel_holds_the_code_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    assert wheel.name == f"sesemi_keras-{sesemi.__version__}-py3-none-any.whl"
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "sesemi").rglob("*.py")}
    for top in ("models", "datasets"):
        modules |= {f"sesemi/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / top).glob("*.py")}
    assert set(names) == modules


# Trains, pickles and unpickles, and says where the code is.
ESTIMATOR = """
import json, pickle, sys
import numpy as np
import sesemi, sesemi.datasets.files, sesemi.models
images = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 1)).astype(np.uint8)
labels = np.array([0, 1] * 4 + [-1] * 16)
estimator = sesemi.SemiSupervisedClassifier(method="mean_teacher", epochs=1, steps_per_epoch=2).fit(images, labels)
copied = pickle.loads(pickle.dumps(estimator))
print(json.dumps({
    "files": [sesemi.__file__, sesemi.models.__file__, sesemi.datasets.__file__],
    "same": bool((copied.predict_proba(images) == estimator.predict_proba(images)).all()),
    "places": [str(place) for place in sesemi.datasets.files.places("svhn")],
    "others": [name for name in ("models", "datasets") if name in sys.modules],
}))
"""


@pytest.mark.slow
def test_the_wheel_trains_predicts_and_fits_the_estimator_without_the_checkout(installed):
    assert sesemi.__version__ in installed.sesemi("--version")
    write_foreign(installed.empty)
    write_digits(installed.empty / "pictures")
    train = ["train", "--dataset", "folder", "--data-dir", "pictures", "--network", "mini", "--image-size", "8"]
    short = ["--epochs", "1", "--steps-per-epoch", "3", "--batch-size", "8", "--labeled-batch-size", "8"]
    printed = installed.sesemi(*train, *short, "--views", "1", "--gpu", "cpu", "--name", "a")
    assert "test error" in printed
    installed.sesemi("predict", "runs/a", "pictures/test", "--csv", "answers.csv")
    answers = (installed.empty / "answers.csv").read_text().splitlines()
    assert len(answers) == 1 + 20
    assert {line.split(",")[1] for line in answers[1:]} <= {"0", "1"}
    found = json.loads(installed.run(installed.python, "-c", ESTIMATOR).splitlines()[-1])
    assert all(Path(file).is_relative_to(installed.packages) for file in found["files"]), found
    assert found["same"]
    assert found["places"] == [str(installed.empty / "datasets" / "svhn")]
    assert found["others"] == []
    there = {path.name for path in installed.empty.iterdir()}
    assert there == {"answers.csv", "datasets", "models", "pictures", "runs"}
    assert files_below(installed.packages) == installed.files
