"""The page of a run: what was measured is on it, and names cannot do harm."""

import html.parser

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
    )
    found = Tags()
    found.feed(text)
    return found


def test_names_are_text_wherever_they_stand():
    found = read()
    assert "script" not in found.tags
    # Title, heading and number, class, note, setting, origin, and the title of the picture.
    assert sum(NASTY in text for text in found.text) == 8


def test_the_page_says_the_errors_and_the_promotions():
    text = " ".join(read().text)
    assert "12.50 % test error" in text
    assert "Averaged over 8 views: 11.25 %" in text
    assert "7 (50.00 % right)" in text
    assert "unknown" in text
