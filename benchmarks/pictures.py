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
    "demo": ("demo/ko-en", "내일 아침 아홉 시에 병원 앞에서 만나요.", "mean"),
    "german": ("lineage/gru-additive", "Zwei Kinder wollen im Garten mit dem Hund spielen.", "mean"),
    "korean-additive": ("korean/gru-additive-ko-en", "나는 어제 도서관에서 책을 읽었다.", "mean"),
    "korean-transformer": ("korean/transformer-en-ko", "I read a book in the library yesterday.", "mean"),
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
