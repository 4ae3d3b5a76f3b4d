"""The attention maps of the docs, drawn by the models of `lineage.py`, `korean.py` and the demo.

    python benchmarks/pictures.py

Writes docs/pictures/*.svg and benchmarks/results/pictures.json, which tells what each of them shows; and for
docs/looking.md a map of occlusion and, where there is a Chromium to draw it, the page of all heads.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from common import ROOT, keep

import ojak
from ojak.attribution.inside import COMPARED
from ojak.look import figures

PICTURES = {
    # name: (run, sentence, view)
    "demo": ("demo/ko-en", "늦게까지 깨어 있을 때마다 어지러워요.", "mean"),
    "german": ("lineage/gru-additive", "Im Schnee läuft ein brauner Hund.", "mean"),
    "korean": ("korean/transformer-en-ko", "A man is playing the guitar.", "mean"),
    "chat": ("korean/transformer-en-ko", "Thank you for contacting us.", "mean"),
}


INSIDE = "korean/transformer-en-ko", "A man is playing the guitar in the park."


def inside() -> None:
    """The pictures of docs/looking.md."""
    run, sentence = INSIDE
    opened = ojak.load(ROOT / "runs" / run, device="cpu").inside(sentence)
    shown, _ = opened.compared(opened.map("occlusion", words=True), COMPARED, words=True)
    figures.save(shown, ROOT / "docs" / "pictures" / "occlusion.svg")
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        print("heads.png is left as it was: there is no Chromium to draw it", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "heads.html"
        page.write_text(figures.heads(opened.heads()), encoding="utf-8")
        picture = os.fspath(ROOT / "docs" / "pictures" / "heads.png")
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1280,800"]
        subprocess.run([browser, *options, f"--screenshot={picture}", page.as_uri()], check=True, capture_output=True)


def main() -> None:
    shown = {}
    for name, (run, sentence, view) in PICTURES.items():
        translator = ojak.load(ROOT / "runs" / run)
        (found,) = translator.translate([sentence], attention=True)
        path = ROOT / "docs" / "pictures" / f"{name}.svg"
        path.parent.mkdir(exist_ok=True)
        figures.save(found, path, view)
        shown[name] = {"run": run, "source": found.source, "translation": found.text, "view": view}
        print(name, found.source, found.text, figures.terminal(found, view), sep="\n")
    inside()
    keep("pictures", {"command": "python benchmarks/pictures.py", "pictures": shown})


if __name__ == "__main__":
    main()
