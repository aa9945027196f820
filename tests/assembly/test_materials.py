"""What a run is made from follows from its settings and its data."""

import numpy as np
import pytest

from sesemi import config
from sesemi.assembly import materials
from tests.messages import refused


@pytest.mark.parametrize(
    ("given", "steps"),
    [
        ({"steps_per_epoch": 7}, 7),
        ({"method": "asl", "labels": 100, "batch_size": 8}, 100 // 8),
        ({"method": "asl", "labels": 100, "batch_size": 8, "steps_per_execution": 5}, 10),
        ({"method": "asl", "labels": 100, "batch_size": 64, "validation": 0.5}, 1),
    ],
)
def test_an_epoch_has_the_updates_of_the_settings_or_one_pass(given, steps):
    found = materials.load(config.resolve({"dataset": "digits", **given})[0])
    assert found.steps_per_epoch == steps
    assert found.total_steps == steps * found.config.epochs


def test_pictures_of_one_colour_are_counted(rng, monkeypatch):
    monkeypatch.setattr(materials, "_CHUNK", 2)
    images = rng.integers(0, 256, (5, 4, 4, 3)).astype(np.uint8)
    assert materials._one_colour(images, None) == []
    images[[1, 4]] = np.array([0, 200])[:, None, None, None]
    assert materials._one_colour(images, list("abcde")) == ["2 training pictures are of one colour each: b, e"]


def test_what_is_recorded_repeats_the_run_whatever_defaults_become():
    given, origins = config.resolve({"method": "asl", "labels": 100})
    found = materials.load(given)
    assert given.steps_per_epoch is None
    assert found.recorded.steps_per_epoch == found.steps_per_epoch
    assert found.recorded.arguments == {"rotation_weight": 1.0}
    again, _ = config.from_json(config.to_json(found.recorded, origins))
    assert materials.load(again).recorded == found.recorded


def test_images_of_a_program_need_no_test(rng):
    images = rng.integers(0, 256, (12, 16, 16, 3)).astype(np.uint8)
    labels = np.array([0, 1] * 3 + [-1] * 6, np.int32)
    settings, _ = config.resolve({"dataset": "folder", "network": "mini"})
    found = materials.in_memory(images, labels, ["a", "b"], settings)
    assert found.split.labeled.tolist() == list(range(6))
    assert len(found.data.test_images) == 0
    with refused("all 12 training pictures are black, so there is nothing to learn; look at the files"):
        materials.in_memory(0 * images, labels, ["a", "b"], settings)
    with refused("all 12 training pictures are of one colour"):
        materials.in_memory(0 * images + labels.astype(np.uint8)[:, None, None, None], labels, ["a", "b"], settings)
    with refused("^--network mini: needs images of at least 8 pixels"):
        materials.in_memory(images[:, :4, :4], labels, ["a", "b"], settings)


def test_changes_of_extra_images_and_of_chosen_labels_are_seen(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((3, 8, 8, 3), np.uint8))
    (tmp_path / "chosen.txt").write_text("".join(f"{i}\n" for i in range(100)))
    given = {"extra_source": f"npy:{tmp_path / 'x.npy'}", "labels_from": str(tmp_path / "chosen.txt"), "quiet": True}
    settings, _ = config.resolve({"dataset": "digits", "method": "mean_teacher", "batch_size": 8, **given})
    found = materials.load_for_run(settings).files
    assert found["files_sha256"] is None
    assert not materials.files_have_changed(settings, found)
    for name in ("x.npy", "chosen.txt"):
        path = tmp_path / name
        kept = path.read_bytes()
        path.write_bytes(kept[:-2] + b"5" + kept[-1:])
        assert materials.files_have_changed(settings, found)
        path.write_bytes(kept)
        assert not materials.files_have_changed(settings, found)
    # Results of early versions say nothing of them.
    assert not materials.files_have_changed(settings, {"files_sha256": None})
