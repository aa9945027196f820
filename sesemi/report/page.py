"""HTML page that shows a run and opens offline."""

import base64
import html
from typing import Any

from sesemi.report.names import in_order

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}table{border-collapse:collapse}img{max-width:100%}
td,th{padding:.15rem .8rem .15rem 0;text-align:left;border-bottom:1px solid #eee}.big{font-size:2.2rem;margin:.3rem 0}
small{color:#777}.warning{background:#fff3cd;border-left:4px solid #e0a800;padding:.4rem .8rem}"""


def html_page(
    *,
    results: dict[str, Any],
    settings: dict[str, Any],
    origins: dict[str, str],
    pictures: dict[str, bytes],
    made: dict[str, str],
) -> str:
    """Return the text of the page, with the pictures inside it.

    Args:
        results: Content of ``results.json``.
        settings: All settings of the run, by name.
        origins: Origins of the settings, by name.
        pictures: Pictures as PNG, by title.
        made: What the page says of how it came about, such as the command and the date, by name.
    """
    title = f"{results['method']} on {results['dataset']}, {results['labels']} labels, {results['network']}"
    numbers = {k: v for k, v in results.items() if not isinstance(v, list | dict)}
    images = "".join(
        f'<h2>{html.escape(name)}</h2><img alt="{html.escape(name)}" '
        f'src="data:image/png;base64,{base64.b64encode(png).decode()}">'
        for name, png in pictures.items()
    )
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>
<style>{_STYLE}</style><h1>{html.escape(title)}</h1>
<p class="big">{results["test_error"]:.2f} % test error</p>
<p>{html.escape(sentence(results))}{_views_sentence(results)}</p>
{"".join(f'<p class="warning">Warning: {html.escape(text)}</p>' for text in warnings_of(results))}
{"".join(f"<p>{html.escape(note)}</p>" for note in results.get("notes", []))}
{_table(made.items())}
{images}
<h2>Numbers</h2>{_table((k, _text(v)) for k, v in numbers.items())}
{_promotions(results.get("promotions", []))}
<h2>Error by class [%]</h2>{_table([("number", "class", "error", "test pictures"), *_classes(results)])}
<h2>Settings</h2>{_table((k, _text(v), origins.get(k, "")) for k, v in settings.items())}
<p><small>config.json repeats this run</small></p></html>
"""


def sentence(results: dict[str, Any]) -> str:
    """Return the result in words, with how far it may be off."""
    text = "One view, last epoch; nothing was chosen on the test set."
    if results.get("test_error_interval") is None:
        return text
    low, high = results["test_error_interval"]
    wrong = round(results["test_images"] * results["test_error"] / 100)
    return (
        f"{wrong:,} of {results['test_images']:,} test pictures were taken for another class. On other pictures of the "
        f"same kind the error lies between {low:.1f} and {high:.1f} % (Wilson's interval, 95 %). {text}"
    )


def warnings_of(results: dict[str, Any]) -> list[str]:
    """Return what a reader of the result has to know first."""
    return [*results.get("warnings", []), *([results["warning"]] if results.get("warning") else [])]


def _classes(results: dict[str, Any]) -> list[tuple]:
    """Return a row for each class, in the order of their folders; the number is that of the model's answer."""
    names, errors = results["class_names"], results["class_errors"]
    counts = [sum(row) for row in results["confusion_matrix"]]
    return [(n, names[n], "" if errors[n] is None else _text(errors[n]), counts[n]) for n in in_order(names)]


def _promotions(records: list[dict[str, Any]]) -> str:
    """Return a table with a row for each promotion.

    It shows how many joined and how many of them rightly. For each confidence it shows how many there were, and how
    many of them were right.
    """
    if not records:
        return ""
    header = ("after epoch", "promoted", "right", *(f"≥ {level['confidence']}" for level in records[0]["levels"]))
    rows = [
        (
            record["epoch"],
            record["promoted"],
            "unknown" if record["right"] is None else record["right"],
            *(_level(level) for level in record["levels"]),
        )
        for record in records
    ]
    what = "Of all images that could join, by confidence: how many, and how many of them right."
    return f"<h2>Promotions</h2><p>{what}</p>{_table([header, *rows])}"


def _level(level: dict[str, Any]) -> str:
    share = "" if level["right"] is None else f" ({100 * level['right']:.2f} % right)"
    return f"{level['images']}{share}"


def _views_sentence(results: dict[str, Any]) -> str:
    if results.get("test_error_views") is None:
        return ""
    return f" Averaged over {results['views']} views: {results['test_error_views']:.2f} %."


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(rows) -> str:
    cells = ("".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) for row in rows)
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"
