import re
from pathlib import Path

import keras
import numpy as np
import pytest

import sesemi

LIBRARY = (Path(__file__).parent.parent / "docs/library.md").read_text()


@pytest.mark.parametrize("name", sesemi.__all__)
def test_public_names_can_be_had_and_are_documented(name):
    found = getattr(sesemi, name)
    assert isinstance(found, dict) or found.__doc__


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing"):
        sesemi.nothing  # noqa: B018


def test_the_example_of_the_documentation_runs(monkeypatch):
    example = max(re.findall(r"((?:    .*\n|\n)+)", LIBRARY.split("`labeled` and")[0]), key=len)
    code = "\n".join(line[4:] for line in example.splitlines())
    code = code.replace('"wrn", (32, 32, 3)', '"mini", (8, 8, 3)').replace("3125", "2").replace("=50", "=2")
    rng = np.random.default_rng(0)
    images, test_images = (rng.integers(0, 256, (n, 8, 8, 3)).astype(np.uint8) for n in (30, 10))
    names = {
        "images": images,
        "labels": np.array([0, 1, 2] + 27 * [-1]),
        "labeled": np.arange(3),
        "unlabeled": np.arange(30),
        "test_images": test_images,
        "test_labels": np.arange(10),
    }
    exec(code, names)
    history = names["model"].history.history
    assert len(history["loss"]) == 2
    assert {"loss", "supervised", "rotation", "l2", "val_loss", "val_accuracy"} == set(history)
    probs = names["model"].predict(test_images, verbose=0)
    assert isinstance(names["model"], keras.Model)
    np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-5)
    loss, accuracy = names["model"].evaluate(test_images, np.arange(10), verbose=0)
    expected = -np.log(probs[np.arange(10), np.arange(10)]).mean()
    assert loss == pytest.approx(expected, rel=1e-4)
    assert accuracy == pytest.approx((probs.argmax(1) == np.arange(10)).mean())
