"""ojak look"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ojak import files
from ojak.attribution.inside import VIEWS, Inside
from ojak.commands.common import searching
from ojak.config import SearchConfig
from ojak.errors import UseError
from ojak.look import figures
from ojak.maps import Map
from ojak.result import Translation
from ojak.translate import Maker, TooLong, Translator, load


def run(args: argparse.Namespace) -> int:
    """Shows a map of what was read, or of what counted, in the terminal and writes it as figures."""
    if not args.sentence.strip():
        raise UseError("There must be a sentence to look at, but it is empty; give one.")
    for path in args.out:  # a wrong name is told before anything is worked out
        figures.ending(Path(path))
    translator = load(args.run, args.device, args.ensemble, "exact")
    config = searching(args, translator)
    shown, others = _shown(args, translator, config)
    found = shown.translation if isinstance(shown, Map) else shown
    view = "mean" if args.view == "weights" else args.view
    if isinstance(shown, Translation):
        shown.view(view)  # tells what is wrong with the model or the view before anything is drawn
    if args.json:
        print(json.dumps(shown.as_dict(), ensure_ascii=False))
    else:
        print(found.text)
        print(figures.terminal(shown, view))
    for path in args.out:
        figures.save(shown, Path(path), view, others)
        print(path, file=sys.stderr)
    return 0


def _shown(args: argparse.Namespace, translator: Maker, config: SearchConfig) -> tuple[Map | Translation, list[Map]]:
    """What is to be shown, and the maps that it was compared with."""
    more = args.own or args.all_heads or args.words or args.before or args.layer is not None or args.head is not None
    plain = not more and args.view not in VIEWS.keys() - {"weights"}
    if isinstance(translator, Translator):
        try:
            return _opened(args, translator.inside(args.sentence, args.target, config))
        except TooLong:
            if not plain or args.target is not None:
                raise
    elif not plain:
        raise UseError(
            "An exported model tells its attention weights alone, but another view was asked for; look at the run."
        )
    # A text in parts, or another engine: the attention that came with the translation.
    if args.target is not None:
        return translator.force([args.sentence], [args.target], attention=True)[0], []
    return translator.translate([args.sentence], config, attention=True)[0], []


def _opened(args: argparse.Namespace, inside: Inside) -> tuple[Map, list[Map]]:
    """The same of an opened sentence; and the page of all heads, if that is asked for and nothing else is wrong."""
    page = Path(args.all_heads or "heads.html")
    if page.suffix.lower() != ".html":
        raise UseError(f"The page of all heads is for a browser: its name must end in .html; found {page.name!r}.")
    found = _map(args, inside)
    if args.all_heads:
        files.write(page, figures.heads(inside.heads()))
        print(page, file=sys.stderr)
    return found


def _map(args: argparse.Namespace, inside: Inside) -> tuple[Map, list[Map]]:
    if args.own:
        if args.words or args.before or args.view != "mean":
            raise UseError("--self shows self-attention: leave --view, --words and --before out.")
        return inside.self_map(args.own, args.layer, args.head), []
    shown = inside.map("weights" if args.view == "mean" else args.view, args.layer, args.head, args.words, args.before)
    if args.no_compare:
        return shown, []
    return inside.compared(shown, words=args.words)
