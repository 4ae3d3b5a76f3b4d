"""The attention maps of the docs, drawn by the models of `lineage.py`, `korean.py` and the demo.

    python benchmarks/pictures.py

Writes docs/pictures/*.svg and benchmarks/results/pictures.json, which tells what each of them shows; for
docs/looking.md a map of occlusion; and, where there is a Chromium to draw them, the page of all heads and the
report of docs/measuring.md. A picture whose model is not there is left as it was.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from common import RESULTS, ROOT, data, keep

import ojak
from ojak.attribution.inside import COMPARED
from ojak.errors import ModelError
from ojak.evaluate import page
from ojak.evaluate.measured import measure
from ojak.evaluate.report import translated
from ojak.look import figures

PICTURES = {
    # name: (run, sentence, view)
    "demo": ("demo/ko-en", "늦게까지 깨어 있을 때마다 어지러워요.", "mean"),
    "german": ("lineage/gru-additive", "Im Schnee läuft ein brauner Hund.", "mean"),
    "korean": ("korean/transformer-en-ko", "A man is playing the guitar.", "mean"),
    "chat": ("korean/transformer-en-ko", "Thank you for contacting us.", "mean"),
}


BEAMS = {"greedy": 1, "beam": 4}
INSIDE = "korean/transformer-en-ko", "A man is playing the guitar in the park."


def inside() -> None:
    """The pictures of docs/looking.md."""
    run, sentence = INSIDE
    opened = ojak.load(ROOT / "runs" / run, device="cpu").inside(sentence)
    shown, _ = opened.compared(opened.map("occlusion", words=True), COMPARED, words=True)
    figures.save(shown, ROOT / "docs" / "pictures" / "occlusion.svg")
    photograph("heads", figures.heads(opened.heads()), "1280,800")


def report() -> None:
    """The picture of docs/measuring.md: greedy search and a beam, on every third pair of a test set."""
    translator = ojak.load(ROOT / "runs" / INSIDE[0], device="cpu")
    pairs = ojak.read_pairs([data("enko_talk.test.tsv.gz")])[::3]
    systems = [translated(name, translator, pairs, ojak.SearchConfig(beam=beam)) for name, beam in BEAMS.items()]
    photograph("report", page.html(measure(pairs, systems, translator.languages, title="enko_talk")), "1200,1300")


def photograph(name: str, html: str, size: str) -> None:
    """Draws a page into docs/pictures/NAME.png by a browser, if there is one."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        print(f"{name}.png is left as it was: there is no Chromium to draw it", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        file.write_text(html, encoding="utf-8")
        picture = os.fspath(ROOT / "docs" / "pictures" / f"{name}.png")
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={size}"]
        subprocess.run([browser, *options, f"--screenshot={picture}", file.as_uri()], check=True, capture_output=True)


def main() -> None:
    before = RESULTS / "pictures.json"
    shown = json.loads(before.read_text("utf-8"))["pictures"] if before.is_file() else {}
    for name, (run, sentence, view) in PICTURES.items():
        try:
            translator = ojak.load(ROOT / "runs" / run)
        except ModelError as error:
            print(f"{name} is left as it was: {error}", file=sys.stderr)
            continue
        (found,) = translator.translate([sentence], attention=True)
        path = ROOT / "docs" / "pictures" / f"{name}.svg"
        path.parent.mkdir(exist_ok=True)
        figures.save(found, path, view)
        shown[name] = {"run": run, "source": found.source, "translation": found.text, "view": view}
        print(name, found.source, found.text, figures.terminal(found, view), sep="\n")
    inside()
    report()
    keep("pictures", {"command": "python benchmarks/pictures.py", "pictures": shown})


if __name__ == "__main__":
    main()
