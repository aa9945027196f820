"""Names of classes in pictures: letters that no font has, and the order of folders."""

import types

import pytest
from matplotlib.figure import Figure

from sesemi.report import names, pictures

FONTS = {
    "DejaVu Sans": "abcdeé \u2026class 0123456789",
    "Noto CJK": "猫犬ねこ",
    "Noto Thai": "แมว",
    "Last Resort": "猫แมว한",
}


@pytest.fixture
def installed(monkeypatch):
    """A machine with these fonts, and nothing remembered of them."""
    entries = [types.SimpleNamespace(name=name) for name in FONTS]
    monkeypatch.setattr(names.font_manager.fontManager, "ttflist", entries)
    monkeypatch.setattr(names, "_letters_of_font", lambda family: frozenset(FONTS[family]))
    names._families.cache_clear()
    yield
    names._families.cache_clear()


@pytest.mark.usefixtures("installed")
def test_an_installed_font_that_has_the_letters_is_taken():
    assert names.fonts_for(["abc é"]) == ("DejaVu Sans",)
    assert names.fonts_for(["猫", "abc"]) == ("DejaVu Sans", "Noto CJK")
    assert names.fonts_for(["猫", "แมว"]) == ("DejaVu Sans", "Noto Thai", "Noto CJK")
    assert names.shown(["猫", "แมว", "ab"]) == ["猫", "แมว", "ab"]


@pytest.mark.usefixtures("installed")
def test_a_name_that_no_font_can_show_is_its_number():
    assert names.shown(["한", "猫", "ab"]) == ["class 0", "猫", "ab"]
    assert names.shown(["a" * 30, "$b$"]) == ["a" * 19 + "…", "class 1"]


def test_every_text_of_a_picture_gets_the_fonts(monkeypatch):
    monkeypatch.setattr(pictures, "fonts_for", lambda texts: ("DejaVu Sans", "DejaVu Serif"))
    figure = Figure()
    axes = figure.subplots()
    axes.set_xticks([0, 1], ["猫", "犬"])
    title = axes.set_title("x")
    monkeypatch.setattr(Figure, "savefig", lambda self, file, **_: None)
    pictures._png(figure)
    for text in [title, *axes.get_xticklabels()]:
        assert text.get_fontfamily() == ["DejaVu Sans", "DejaVu Serif"]


def test_a_letter_that_the_own_font_has_is_no_number():
    assert names.shown(["café", "ñu", "Ω"]) == ["café", "ñu", "Ω"]


def test_folders_are_in_the_order_of_a_window():
    assert names.in_order(["1", "10", "2"]) == [0, 2, 1]
    assert names.in_order(["a1", "a10b", "a10", "a9"]) == [0, 1, 2, 3], "not as folders are: left alone"
    assert names.in_order(["Zebra", "apple"]) == [1, 0]
    assert names.in_order(["T-shirt", "Bag", "Boot"]) == [0, 1, 2]
