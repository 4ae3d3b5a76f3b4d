"""The attention maps of the docs, drawn by the models of `lineage.py`, `korean.py` and the demo.

    python benchmarks/pictures.py

Writes docs/pictures/*.svg and benchmarks/results/pictures.json, which tells what each of them shows.
"""

from __future__ import annotations

from common import ROOT, keep

import ojak
from ojak.look import figures

PICTURES = {
    # name: (run, sentence, view)
    "demo": ("demo/ko-en", "늦게까지 깨어 있을 때마다 어지러워요.", "mean"),
    "german": ("lineage/gru-additive", "Im Schnee läuft ein brauner Hund.", "mean"),
    "korean": ("korean/transformer-en-ko", "A man is playing the guitar.", "mean"),
    "chat": ("korean/transformer-en-ko", "Thank you for contacting us.", "mean"),
}


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
    keep("pictures", {"command": "python benchmarks/pictures.py", "pictures": shown})


if __name__ == "__main__":
    main()
