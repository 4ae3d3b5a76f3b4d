"""What all pages share: an HTML document that works offline, with its style, script and numbers in it."""

from __future__ import annotations

import json
import re
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from ojak.look.svg import FONTS


def document(title: str, body: str, data: dict[str, Any], style: str = "", script: str = "") -> str:
    """The page. Nothing is fetched, to which a content policy of its own holds. `title` is text, `body` is HTML,
    `style` and `script` come behind what all pages have, and `data` is what the script finds as `data`."""
    return Template(part("document.html")).substitute(
        title=escape(title),
        style=(part("document.css") + style).replace("FONTS", FONTS),
        body=body,
        data=_script_json(data),
        script=part("document.js") + script,
    )


def part(name: str, package: str = "ojak.look") -> str:
    """A file that lies beside the code."""
    return (files(package) / name).read_text(encoding="utf-8")


def _script_json(data: dict[str, Any]) -> str:
    """JSON that may stand inside a script element: nothing in it can close the element or upset a reader."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    # The characters escaped can stand in strings only, so every one may be written by its number.
    return re.sub(
        "[<>&\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufffe\uffff]",
        lambda found: f"\\u{ord(found[0]):04x}",
        text,
    )
