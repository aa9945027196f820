"""HTML page that shows a run and opens offline."""

import base64
import html
from typing import Any

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}table{border-collapse:collapse}img{max-width:100%}
td,th{padding:.15rem .8rem .15rem 0;text-align:left;border-bottom:1px solid #eee}.big{font-size:2.2rem;margin:.3rem 0}
small{color:#777}"""


def html_page(
    *,
    results: dict[str, Any],
    settings: dict[str, Any],
    origins: dict[str, str],
    pictures: dict[str, bytes],
) -> str:
    """Return the text of the page, with the pictures inside it.

    Args:
        results: Content of ``results.json``.
        settings: All settings of the run, by name.
        origins: Origins of the settings, by name.
        pictures: Pictures as PNG, by title.
    """
    title = f"{results['method']} on {results['dataset']}, {results['labels']} labels, {results['network']}"
    numbers = {k: v for k, v in results.items() if not isinstance(v, list | dict)}
    images = "".join(
        f'<h2>{html.escape(name)}</h2><img alt="{html.escape(name)}" '
        f'src="data:image/png;base64,{base64.b64encode(png).decode()}">'
        for name, png in pictures.items()
    )
    classes = enumerate(zip(results["class_names"], results["class_errors"], strict=True))
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>
<style>{_STYLE}</style><h1>{html.escape(title)}</h1>
<p class="big">{results["test_error"]:.2f} % test error</p>
<p>One view, last epoch; nothing was chosen on the test set.{_views_sentence(results)}</p>
{"".join(f"<p>{html.escape(note)}</p>" for note in results.get("notes", []))}
{images}
<h2>Numbers</h2>{_table((k, _text(v)) for k, v in numbers.items())}
{_promotions(results.get("promotions", []))}
<h2>Error by class [%]</h2>{_table((number, name, _text(error)) for number, (name, error) in classes)}
<h2>Settings</h2>{_table((k, _text(v), origins.get(k, "")) for k, v in settings.items())}
<p><small>config.json repeats this run</small></p></html>
"""


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
