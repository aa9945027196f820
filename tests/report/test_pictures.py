"""Pictures of a run: what is drawn, looked at before it becomes PNG."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from sesemi.report import pictures


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are made, laid out as they are saved."""
    found = []
    monkeypatch.setattr(Figure, "savefig", lambda self, file, **_: found.append(self) or self.canvas.draw())
    return found


def test_a_loss_of_nothing_is_drawn_at_zero(drawn):
    rows = [{"epoch": 1, "loss": 2.0, "unsupervised": 0.0}, {"epoch": 2, "loss": 1.0, "unsupervised": 0.1}]
    pictures.learning_curves(rows)
    losses = drawn[0].axes[0]
    (line,) = [line for line in losses.lines if line.get_label() == "unsupervised"]
    places = losses.transData.transform(line.get_xydata())
    assert np.isfinite(places).all()
    assert losses.get_window_extent().contains(*places[0])


def test_long_names_of_curves_cover_no_curve(drawn):
    names = [f"student_{'very_' * 4}long_name_{n}_error" for n in range(4)]
    pictures.learning_curves([{"epoch": e, "loss": 1.0, **dict.fromkeys(names, 10.0)} for e in (1, 2)])
    losses, errors = drawn[0].axes
    box = errors.get_legend().get_window_extent()
    assert box.y1 < errors.get_window_extent().y0
    assert not box.overlaps(losses.get_legend().get_window_extent())


def test_no_accepted_pseudo_label_is_zero(drawn):
    rows = [
        {"epoch": e, "shown": 10.0, "accepted": [0.0, 0.0], "known": [0.0, 0.0], "right": [0.0, 0.0]} for e in (1, 2)
    ]
    pictures.pseudo_labels(rows, ["a", "b"])
    shares, classes, bar = drawn[0].axes
    (line,) = shares.lines
    assert line.get_ydata().tolist() == [0.0, 0.0]
    assert shares.get_ylim()[0] < 0
    assert (classes.images[0].get_array() == 0).all()
    assert classes.images[0].get_clim() == (0, 1)
    assert bar.get_ylim() == (0, 1)


def test_classes_of_pictures_stand_in_the_order_of_their_folders(drawn):
    matrix = np.array([[5, 0, 1], [0, 6, 0], [0, 2, 7]])
    pictures.confusion_matrix(matrix, ["1", "10", "2"])
    axes = drawn[0].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["1", "2", "10"]
    assert {text.get_position(): text.get_text() for text in axes.texts}[(2, 1)] == "2"
    rows = [{"epoch": 1, "shown": 9.0, "accepted": [1.0, 2.0, 5.0], "known": [0.0] * 3, "right": [0.0] * 3}]
    pictures.pseudo_labels(rows, ["1", "10", "2"])
    np.testing.assert_allclose(drawn[1].axes[1].images[0].get_array()[:, 0], [1 / 8, 5 / 8, 2 / 8])


def test_mistakes_have_both_names(drawn):
    images = np.zeros((7, 4, 4, 1), np.uint8)
    pictures.mistakes(images, [0] * 7, [1] * 7, np.linspace(1, 0.4, 7), ["cat", "dog"])
    said = [text.get_text() for axes in drawn[0].axes for text in axes.texts]
    assert len(said) == 7
    assert said[0] == "is cat\nsaid dog\n100 %"
    assert said[-1] == "is cat\nsaid dog\n40 %"
