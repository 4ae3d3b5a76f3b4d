"""The Translator: texts in, Translations out, by a model of Ojak's own."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ojak import batch
from ojak.attribution.inside import Inside
from ojak.compiled import Precision, compiled, settled
from ojak.config import SearchConfig
from ojak.errors import UseError
from ojak.maps import Map
from ojak.model import folder
from ojak.model.ensemble import together
from ojak.model.folder import Loaded
from ojak.model.seam import Seq2Seq
from ojak.result import Alternative
from ojak.search import Hypothesis, Search, Wish, Wishes, forced, search
from ojak.search.lexicon import Lexicon
from ojak.text.vocabulary import BOS, EOS, PAD, UNK
from ojak.translate import long
from ojak.translate.maker import Maker, Part
from ojak.translate.stream import Token, decided, texts


def pick_device(name: str = "auto") -> torch.device:
    """The device of that name; `auto` is a GPU if there is one. Raises UseError when there is none to give."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise UseError("device=cuda needs a GPU that torch can use, but there is none; use device=cpu or auto.")
    return torch.device(name)


class Translator(Maker):
    """A model with its tokenizers. Nothing of a request is kept on it, so threads may share one.

    `model` translates; it may be compiled, and then `plain` is what it was compiled from.
    """

    def __init__(self, loaded: Loaded, shortlist: Lexicon | None = None) -> None:
        self.model = loaded.model
        self._place: Path | None = None
        self.source = loaded.source
        self.target = loaded.target
        self.search = loaded.search
        self.languages = loaded.languages
        self.shortlist = shortlist

    @property
    def views(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names of the model's attention views."""
        return self.model.views

    @property
    def longest(self) -> int:  # type: ignore[override]
        """How many tokens a sentence may have, its end included."""
        return self.model.config.max_length

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: str = "auto",
        ensemble: Sequence[str | Path] = (),
        precision: Precision = "exact",
        workers: int = 0,
    ) -> Translator:
        """The translator of a run or model directory, or of several whose probabilities are averaged.

        `precision` and `workers` are as in `ojak.load`. Raises ModelError when one cannot be read, UseError when they
        do not share their vocabulary or the precision cannot be had.
        """
        place = folder.model_folder(Path(path))
        first = folder.load(place, pick_device(device))
        if ensemble:
            others = [folder.load(Path(other), pick_device(device)) for other in ensemble]
            first = together([first, *others], [place, *ensemble])
        plain = cls(first, Lexicon.load(place, (len(first.source), len(first.target))))
        made = plain.compiled(precision)
        made._place = None if made is plain else place
        made.workers = workers or made.workers
        return made

    def compiled(self, precision: Precision = "auto") -> Translator:
        """This one with its model compiled from the weights of now, as the precision asks; where that means exact, this
        one. Raises UseError when the precision cannot be had."""
        kind = settled(precision, self.model, self.model.device)
        if kind == "exact":
            return self
        made = copy.copy(self)
        made.model = compiled(self.model, kind)
        # Threads inside of products are for the large ones of training; what is compiled has none.
        made.workers = torch.get_num_threads()
        return made

    @property
    def plain(self) -> Seq2Seq:
        """The model as PyTorch computes it, with gradients: what is looked into."""
        if self._place is not None:
            return folder.load(self._place, self.model.device).model
        return self.model

    def _find(
        self, sources: list[list[int]], wishes: Wishes, config: SearchConfig, attention: bool
    ) -> list[list[Hypothesis]]:
        return search(self.model, batch.sources(sources, self.model.device), config, attention, wishes)

    def _wish(self, part: Part, config: SearchConfig) -> Wish:
        wish = super()._wish(part, config)
        if not config.shortlist:
            return wish
        if self.shortlist is None:
            raise UseError(
                "shortlist=true needs a shortlist beside the model, but there is none; make one with `ojak shortlist`."
            )
        return replace(wish, words=self.shortlist.words(part.ids))

    def stream(
        self, text: str, search: SearchConfig | None = None, attention: bool = True, *, prefix: str = ""
    ) -> Iterator[Token]:
        """The tokens of the translation of `text`, each as soon as it is decided, the end of sentence included.

        In greedy search that is at once; in beam search when all hypotheses that may still win agree on it. Together
        they are what `translate` gives. A text that is too long comes part after part.
        """
        config = search or self.search
        if config.mbr or config.n_best > 1:
            raise UseError(
                "A stream is of one translation, but n_best or mbr asks for several; set n_best=1 and mbr=0."
            )
        for number, part in enumerate(self._parts(text, prefix, (), None)):
            space = " " if number and long.spaced(self.languages[1]) else ""
            wishes = Wishes([self._wish(part, config)])
            under_way = Search(self.model, batch.sources([part.ids], self.model.device), config, attention, wishes)
            for token in texts(self.target, decided(under_way)):
                if space and token.text:
                    token, space = replace(token, text=space + token.text), ""
                yield token

    def continuations(
        self, text: str, at: int, count: int = 5, translation: str | None = None, search: SearchConfig | None = None
    ) -> list[Alternative]:
        """What else could stand at a place of the translation: the `count` likeliest tokens there, each with the rest
        of the sentence that follows from it, in the order of their probabilities.

        `translation` is the model's own if None; `at` counts its tokens from 0, and what stands before stays. Raises
        UseError when there is no such place, or the text is empty or longer than the model takes.
        """
        config = (search or self.search).model_copy(update={"n_best": 1, "mbr": 0})
        source = self._encode(self.source, text, "the source", 0)
        if not source:
            raise UseError("There must be a sentence to translate, but it is empty; give one.")
        if translation is None:
            (found,) = self._find([source], Wishes([Wish()]), config, False)
            tokens = found[0].tokens
        else:
            tokens = [*self._encode(self.target, translation, "the target", 0), EOS]
        if not 0 <= at < len(tokens) or count < 1:
            raise UseError(
                f"The place must be from 0 to {len(tokens) - 1} and the count from 1, but they are {at} and {count}."
            )
        before = torch.tensor([[BOS, *tokens[:at]]], device=self.model.device)
        with torch.inference_mode():
            states = self.model(batch.sources([source], self.model.device), before).states[0, -1]
            scores = self.model.output(states)
            scores[[PAD, BOS, UNK]] = -torch.inf
        likeliest = scores.topk(min(count, len(scores) - 3))[1].tolist()
        wishes = Wishes([Wish([*tokens[:at], word]) for word in likeliest])
        return [self._alternative(one[0]) for one in self._find([source] * len(likeliest), wishes, config, True)]

    def inside(self, text: str, target: str | None = None, search: SearchConfig | None = None) -> Inside:
        """The sentence and its translation, opened: `.map("occlusion")` and other views of which words came from
        which, `.self_map("encoder")`, `.heads()`.

        `target` is looked at instead of the model's own translation, where it is given. Raises UseError when the text
        is empty and no target is given, or when it has more tokens than the model takes.
        """
        if target is not None:
            source, ids = self._encode(self.source, text, "the source", 0), self._encode(self.target, target, "it", 0)
            found = self._score([source], [ids], True)
            translation = self._translation(text, source, found)
        else:
            parts = self._parts(text, "", (), None)
            if len(parts) > 1:
                self._encode(self.source, text, "the source", 0)  # raises: a text in parts has no one map
            if not parts:
                raise UseError("There must be a sentence to look at, but it is empty; give one.")
            (part,), config = parts, search or self.search
            found = self._chosen(self._find([part.ids], Wishes([self._wish(part, config)]), config, True)[0], config)
            source, translation = part.ids, self._made(part, found)
        return Inside(self.plain, batch.collate([source], [found[0].tokens[:-1]], self.model.device), translation)

    def attribute(
        self,
        text: str,
        view: str = "occlusion",
        target: str | None = None,
        layer: int | None = None,
        head: int | None = None,
        words: bool = False,
    ) -> Map:
        """Which source words each target word came from, by one view: weights, norms, rollout, occlusion, gradient or
        integrated; with a note of how far the others agree, integrated gradients aside, which take long. See
        `Inside.map` for the rest."""
        opened = self.inside(text, target)
        return opened.compared(opened.map(view, layer, head, words), words=words)[0]

    def _score(self, sources: list[list[int]], targets: list[list[int]], attention: bool) -> list[Hypothesis]:
        pairs = batch.collate(sources, targets, self.model.device)
        with torch.inference_mode():
            decoded = self.model(pairs.source, pairs.target_in, attention)
            scores = forced.token_scores(self.model, decoded.states, pairs.target_out).tolist()
        found = []
        for row, (source, target) in enumerate(zip(sources, targets, strict=True)):
            said = scores[row][: len(target) + 1]
            weights = None
            if decoded.attention is not None:
                weights = decoded.attention[row, : len(said), :, : len(source) + 1]
            found.append(Hypothesis([*target, EOS], sum(said), weights, said, sum(said)))
        return found
