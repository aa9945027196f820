import re
from pathlib import Path

import keras
import numpy as np
import pytest

import sesemi

LIBRARY = (Path(__file__).parent.parent / "docs/library.md").read_text()
BLOCKS = [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in re.findall(r"\n\n((?:(?:    .*)?\n)+)", LIBRARY)]
# What is pasted, but shorter: an epoch of two updates, and of the whole run only its settings.
SHORTER = {"epochs=10, steps_per_epoch=60": "epochs=1, steps_per_epoch=2", "10 * 60": "2", "GPU:": "CPU:"}
SHORTER |= {'network="mini", epochs=10': 'network="mini", epochs=1, steps_per_epoch=1'}


@pytest.mark.parametrize("name", sesemi.__all__)
def test_public_names_can_be_had_and_are_documented(name):
    found = getattr(sesemi, name)
    assert isinstance(found, dict) or found.__doc__


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing"):
        sesemi.nothing  # noqa: B018


def test_dir_shows_what_there_is():
    assert set(sesemi.__all__) < set(dir(sesemi))
    for name in dir(sesemi):
        assert getattr(sesemi, name) is not None


def test_the_examples_of_the_documentation_run_when_they_are_pasted(tmp_path, monkeypatch, untraced):
    monkeypatch.chdir(tmp_path)
    begun = []
    monkeypatch.setattr("sesemi.runs.run.run", lambda config, origins: begun.append(config))
    names = {}
    examples = [block for block in BLOCKS if re.match(r"(import|from) ", block)]
    assert len(examples) == 4
    for code in examples:
        for long, short in SHORTER.items():
            code = code.replace(long, short)
        exec(code, names)
    assert [(config.dataset, config.method, config.epochs) for config in begun] == [("digits", "fixmatch", 5)]
    model, digits = names["model"], names["digits"]
    assert set(model.history.history) == {"loss", "supervised", "rotation", "l2", "val_loss", "val_accuracy"}
    assert isinstance(model, keras.Model)
    probs = model.predict(digits.test_images, verbose=0)
    np.testing.assert_allclose(names["probabilities"], probs, atol=1e-5)
    assert {path.name for path in tmp_path.iterdir()} == {"digits.keras", "estimator.keras"}
    loss, accuracy = model.evaluate(digits.test_images, digits.test_labels, verbose=0)
    rows = np.arange(len(probs))
    assert loss == pytest.approx(-np.log(probs[rows, digits.test_labels]).mean(), rel=1e-4)
    assert accuracy == pytest.approx((probs.argmax(1) == digits.test_labels).mean())
