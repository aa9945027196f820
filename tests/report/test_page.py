"""The page of a run: what was measured is on it, and names cannot do harm."""

import html.parser
import re

import numpy as np

from sesemi.report import page

NASTY = '<script>alert("x")</script> & co'
FOUND = {
    "method": "sesemi",
    "dataset": NASTY,
    "labels": 3,
    "network": "mini",
    "class_names": [NASTY, "b"],
    "class_errors": [12.5, None],
    "test_error": 12.5,
    "test_images": 8,
    "test_error_interval": [2.24, 47.09],
    "confusion_matrix": [[7, 1], [0, 0]],
    "warnings": [f"no test image of class {NASTY}"],
    "warning": "after epoch 2: collapse",
    "test_error_views": 11.25,
    "views": 8,
    "notes": [f"data: {NASTY}"],
    "promotions": [
        {"epoch": 2, "promoted": 5, "right": None, "levels": [{"confidence": 0.9, "images": 7, "right": 0.5}]},
    ],
}


class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text.append(data)


def read():
    text = page.html_page(
        results=FOUND,
        settings={"name": NASTY, "seed": 3},
        origins={"name": NASTY, "seed": "user"},
        pictures={NASTY: b"png"},
        made={"command": f"sesemi {NASTY}"},
    )
    found = Tags()
    found.feed(text)
    return found


def test_names_are_text_wherever_they_stand():
    found = read()
    assert "script" not in found.tags
    # Title, heading and number, class, note, warning, command, setting, origin, and the title of the picture.
    assert sum(NASTY in text for text in found.text) == 10


def test_the_page_says_the_errors_and_the_promotions():
    text = " ".join(read().text)
    assert "12.50 % test error" in text
    assert "Averaged over 8 views: 11.25 %" in text
    assert "7 (50.00 % right)" in text
    assert "unknown" in text


def test_the_result_in_words_and_the_warnings_stand_before_the_pictures():
    text = read().text
    first = text.index(NASTY, text.index("12.50 % test error"))
    top = " ".join(text[: text.index("Numbers")])
    assert "1 of 8 test pictures were taken for another class" in top
    assert "between 2.2 and 47.1 %" in top
    assert f"Warning: no test image of class {NASTY}" in top
    assert "Warning: after epoch 2: collapse" in top
    assert f"sesemi {NASTY}" in top
    assert first


def test_classes_stand_in_the_order_of_their_folders():
    names = ["digit 1", "digit 10", "digit 2"]
    found = FOUND | {"class_names": names, "class_errors": [1.0, 10.0, None], "confusion_matrix": np.eye(3).tolist()}
    text = page.html_page(results=found, settings={}, origins={}, pictures={}, made={})
    rows = re.findall(r"<tr><td>(\d)</td><td>(digit \d+)</td><td>([\d.]*)</td>", text)
    assert rows == [("0", "digit 1", "1"), ("2", "digit 2", ""), ("1", "digit 10", "10")]
