"""One HTML page with text and pictures in it. It loads nothing and runs nothing."""

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from rltk.drawing.files import replacing

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
body {{ max-width: 62rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 sans-serif; color: #222; }}
pre {{ font: 14px/1.45 monospace; overflow-x: auto; background: #f6f6f4; padding: 1rem; }}
figure {{ margin: 1.5rem 0; }} img {{ max-width: 100%; height: auto; }} figcaption {{ color: #555; }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


def write_page(path: str | Path, title: str, text: str, pictures: Sequence[tuple[Any, str]] = ()) -> Path:
    """Write `text`, lines as they stand, and `pictures`, matplotlib figures with their captions, as one page; it
    appears whole or not at all. The same figures give the same bytes. Raises ArgumentError for a folder."""
    shown = [f"<pre>{escape(text)}</pre>"]
    for figure, caption in pictures:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
        data = base64.b64encode(buffer.getvalue()).decode()
        said = escape(caption)
        shown.append(
            f'<figure><img alt="{said}" src="data:image/png;base64,{data}"><figcaption>{said}</figcaption></figure>'
        )
    with replacing(path) as partial:
        partial.write_text(_PAGE.format(title=escape(title), body="\n".join(shown)), encoding="utf-8")
    return Path(path)
