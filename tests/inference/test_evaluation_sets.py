"""Folders with a model's classes: what is read of them, and what is said of the rest."""

import types

import numpy as np
from PIL import Image

from sesemi.inference import evaluation_sets, inputs

SAVED = types.SimpleNamespace(class_names=("caf\xe9", "cat"), image_shape=(4, 4, 3), resize="crop")


def put(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(path, "PNG")


def test_classes_are_found_whatever_the_form_of_their_accents_and_the_rest_is_said(tmp_path):
    for name in ("cafe\u0301/0.png", "cafe\u0301/1", "cat /0.PNG", "@eaDir/x.png", "stray.png", "cat /x.heic"):
        put(tmp_path / name)
    (tmp_path / "cat /gone.jpg").symlink_to("nowhere")
    (tmp_path / "cat").symlink_to(tmp_path / "cat ")
    items, labels, notes = evaluation_sets._of_folder(tmp_path, SAVED)
    assert [name.removeprefix(f"{tmp_path}/") for name, _ in items] == [
        "cafe\u0301/0.png",
        "cafe\u0301/1",
        "cat/0.PNG",
    ]
    np.testing.assert_array_equal(labels, [0, 0, 1])
    assert len(notes) == 5
    for words in ("1 pictures in", "1 folders of machines", "1 links that lead nowhere", "read anyway", "1 .heic"):
        assert any(words in note for note in notes), words


def test_a_model_of_an_early_version_may_have_names_as_they_were_written():
    assert evaluation_sets.first_other_class(("caf\xe9", "cat"), ("cafe\u0301", "cat ")) is None
    assert evaluation_sets.first_other_class(("a", "b"), ("a", "c")) == ("b", "c")
    assert evaluation_sets.first_other_class(("a",), ("a", "c")) == ("", "c")


def test_remarks_come_with_the_batch(tmp_path):
    for i in range(2):
        Image.fromarray(np.full((4, 4), 4000, np.uint16)).save(tmp_path / f"{i}.png")
    (source,) = inputs.gather([str(tmp_path)])
    (batch,) = inputs.batches(source.items(), inputs.Reader((4, 4, 3), "crop"), 8)
    text = "16 bits of which 12 are in use, taken as 12 bits"
    assert batch.remarks == [(str(tmp_path / f"{i}.png"), text) for i in range(2)]
    assert (batch.images == 4000 >> 4).all()
