"""ojak export"""

from __future__ import annotations

import argparse
from pathlib import Path

from ojak.errors import UseError


def run(args: argparse.Namespace) -> int:
    """Writes a run for another engine or in another layout."""
    run, out = Path(args.run), Path(args.out)
    if args.to == "ctranslate2":
        from ojak.export import ctranslate2

        ctranslate2.export(run, out, args.quantization)
    else:
        if args.quantization != "float32":
            raise UseError("--quantization is for CTranslate2; leave it out.")
        from ojak.export import marian

        marian.export(run, out)
    print(out)
    return 0
