"""A grammar of sentence pairs: templates with slots, fillers for the slots, and the engine that joins the two.

A file of `data/` holds blocks. `[drink]` begins a list of fillers, one a line, English on the left:

    coffee = 커피 ; unit=잔          a noun, with extra words under names of the file's own choice
    child | children = 아이          a noun with a plural of its own
    [walk: verb]                     a list of verb phrases; the Korean is a dictionary form, ~ is a possessive
    check ~ email = 이메일을 확인하다
    [few: number 1-4 10]             a list of numbers, needs no lines
    [meal: < soup dish]              a list that begins with all of two others

`[templates]` begins the sentences, English on the left:

    Could I have {few} {drink@few}? = {drink} {few:한} {drink.unit} 주시겠어요?

In the English `{drink}` is the filler, `{a drink}` with its article, `{drink.s}` its plural, `{drink@few}` the number
that `few` asks for, `{seat|seats@few}` the same for a fixed word, `{walk.ing.your}` a verb form with the possessive
of ~, `{few.th}` an ordinal, `{few.1}` digits.
In the Korean `{walk:을까요}` joins an ending, `{few:한}` is a native numeral, `{few:일}` Sino-Korean, `{few:만}` money,
`{few:날}` days, and `[을]` is the particle in the shape that fits the word before it. `{drink2}` is a second slot of
the kind `drink`, never filled like the first. `{drink.unit}` is an extra word, on both sides.

Every piece of a sentence is worked out once, for each filler, when the grammar is read; realising a combination is
then a look-up and a join.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from ojak.corpus.bundled import english, korean
from ojak.corpus.bundled.conjugate import conjugate

DOMAINS: tuple[str, ...] = ("business", "sports", "travel_shopping", "medicine", "daily_life")
_POSSESSIVES = ("my", "your", "his", "her", "our", "their")
_MARK = re.compile(r"\{[^{}]*\}|\[[^\[\]]*\]")


@dataclass(frozen=True, slots=True)
class Filler:
    """What can stand in a slot: its English, its Korean, and what else its file says of it."""

    english: str
    korean: str
    kind: str = "noun"
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a sentence. `texts` holds it for every filler of `slot` (one text where slot is -1, a literal).

    Where it depends on a second slot, a number, `singular` tells for every filler of `number` which of `texts`
    (False) and `singular_texts` (True) to take.
    """

    texts: tuple[str, ...]
    slot: int = -1
    number: int = -1
    singular: tuple[bool, ...] = ()
    singular_texts: tuple[str, ...] = ()

    def text(self, combination: Sequence[int]) -> str:
        """The stretch for a combination: for each slot of the template, the number of its filler."""
        if self.slot < 0:
            return self.texts[0]
        filler = combination[self.slot]
        if self.number >= 0 and self.singular[combination[self.number]]:
            return self.singular_texts[filler]
        return self.texts[filler]

    def all_texts(self) -> list[str]:
        """Every text that the stretch can be, sorted, each once."""
        return sorted({*self.texts, *self.singular_texts})


@dataclass(frozen=True, slots=True)
class Template:
    """A sentence pair with slots, ready to be realised."""

    name: str
    domain: str
    kinds: tuple[str, ...]  # for each slot, the list that fills it
    sizes: tuple[int, ...]  # for each slot, how many fillers there are
    source: tuple[Piece, ...]
    target: tuple[Piece, ...]

    @property
    def span(self) -> int:
        """How many indices `combination` takes."""
        return math.prod(self.sizes)

    @property
    def size(self) -> int:
        """How many combinations there are, those left out in which two slots of a kind are filled alike."""
        total = 1
        for number, size in enumerate(self.sizes):
            total *= max(0, size - self.kinds[:number].count(self.kinds[number]))
        return total

    def combination(self, index: int) -> tuple[int, ...] | None:
        """The combination at `index` (0 to `span`), None where two slots of a kind would be filled alike."""
        chosen = []
        for size in self.sizes:
            index, filler = divmod(index, size)
            chosen.append(filler)
        if len(set(self.kinds)) < len(self.kinds) and len(set(zip(self.kinds, chosen, strict=True))) < len(chosen):
            return None
        return tuple(chosen)

    def realise(self, combination: Sequence[int]) -> tuple[str, str]:
        """The source and the target sentence of a combination."""
        return (
            "".join([piece.text(combination) for piece in self.source]),
            "".join([piece.text(combination) for piece in self.target]),
        )


class GrammarError(ValueError):
    """A file of the grammar is wrong: a fault of this package, not of its user."""


Fillers = dict[str, list[Filler]]


def _read_filler(line: str, kind: str) -> Filler:
    left, equals, right = line.partition(" = ")
    if not equals:
        raise GrammarError(f"a filler needs ' = ' between its English and its Korean: {line!r}")
    target, *notes = (part.strip() for part in right.split(";"))
    extra = dict(note.split("=", 1) for note in notes)
    source, bar, many = (part.strip() for part in left.partition("|"))
    if bar:
        extra["s"] = many
    return Filler(source, target, kind, extra)


def _numbers(text: str) -> list[Filler]:
    found: list[Filler] = []
    for part in text.split():
        first, _, last = part.partition("-")
        found += [Filler(str(n), str(n), "number") for n in range(int(first), int(last or first) + 1)]
    return found


def read_blocks(text: str, shared: Mapping[str, list[Filler]]) -> tuple[Fillers, list[tuple[str, str]]]:
    """The lists of fillers (the shared ones among them) and the templates, as text, of one file of the grammar."""
    fillers: Fillers = dict(shared)
    templates: list[tuple[str, str]] = []
    name, kind = "", "noun"
    for raw in unicodedata.normalize("NFC", text).split("\n"):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if head := re.fullmatch(r"\[([\w]+)(?:: *(.*))?\]", line):
            name, note = head.group(1), head.group(2) or ""
            kind = "verb" if note == "verb" else "noun"
            if name == "templates":
                continue
            if name in fillers:
                raise GrammarError(f"the list [{name}] is there twice")
            fillers[name] = []
            if note.startswith("number"):
                fillers[name] += _numbers(note.removeprefix("number"))
            elif note.startswith("<"):
                for other in note.removeprefix("<").split():
                    fillers[name] += fillers[other]
                kind = fillers[name][0].kind
        elif name == "templates":
            source, equals, target = line.partition(" = ")
            if not equals:
                raise GrammarError(f"a template needs ' = ' between its English and its Korean: {line!r}")
            templates.append((source.strip(), target.strip()))
        else:
            fillers[name].append(_read_filler(line, kind))
    return fillers, templates


def _english_form(filler: Filler, forms: Sequence[str]) -> str:
    """The English of a filler in the forms that a slot asks for, one after another."""
    if filler.kind == "number":
        number = int(filler.english)
        makers: dict[str, Callable[[int], str]] = {
            "1": lambda n: f"{n:,}",
            "th": english.ordinal,
            "nd": english.short_ordinal,
            "a": lambda n: english.article(english.words(n)),
        }
        return makers[forms[0]](number) if forms else english.words(number)
    text, possessive = filler.english, "my"
    for form in forms:
        if form in _POSSESSIVES:
            possessive = form
        elif form in filler.extra:
            text = filler.extra[form]
        elif filler.kind == "verb" and form in ("ing", "past", "pp", "s"):
            text = english.verb(text, form)
        elif filler.kind == "noun" and form == "s":
            text = english.plural(text)
        elif form == "a":
            text = english.article(text)
        else:
            raise GrammarError(f"{filler.english!r} has no form {form!r}")
    return text.replace("~", possessive)


def _korean_form(filler: Filler, extra: str, ending: str) -> str:
    """The Korean of a filler, one of its extra words, or its Korean with an ending or in a kind of numeral."""
    if filler.kind == "number":
        number = int(filler.korean)
        makers: dict[str, Callable[[int], str]] = {
            "한": korean.native,
            "일": korean.sino,
            "만": korean.money,
            "날": korean.days,
            "1": str,
        }
        return makers[ending](number)
    if extra:
        return filler.extra[extra]
    if filler.kind == "verb":
        return conjugate(filler.korean, ending)
    if ending:
        raise GrammarError(f"{filler.korean!r} is no verb and takes no ending {ending!r}")
    return filler.korean


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


class _Builder:
    """Makes one template out of its text. Slots are numbered in the order in which the English names them."""

    def __init__(self, fillers: Fillers) -> None:
        self.fillers = fillers
        self.names: list[str] = []

    def of(self, name: str) -> list[Filler]:
        """The fillers of the slot `name`."""
        kind = self.kind(name)
        if not self.fillers.get(kind):
            raise GrammarError(f"there is no list [{kind}] for the slot {name!r}")
        return self.fillers[kind]

    def kind(self, name: str) -> str:
        """The list that fills the slot `name`: the name without the digits at its end."""
        return name.rstrip("0123456789")

    def english(self, text: str) -> tuple[Piece, ...]:
        """The pieces of the English side, each sentence begun with a capital."""
        pieces: list[Piece] = []
        begins, end = True, 0
        for mark in _MARK.finditer(text):
            if literal := text[end : mark.start()]:
                pieces.append(Piece((_capital(literal) if begins else literal,)))
                begins = re.search(r"[.?!] $", literal) is not None
            piece = self._english_slot(mark.group()[1:-1])
            if begins:
                piece = Piece(
                    tuple(map(_capital, piece.texts)),
                    piece.slot,
                    piece.number,
                    piece.singular,
                    tuple(map(_capital, piece.singular_texts)),
                )
            pieces.append(piece)
            begins, end = False, mark.end()
        if end < len(text):
            pieces.append(Piece((_capital(text[end:]) if begins else text[end:],)))
        return tuple(pieces)

    def _english_slot(self, mark: str) -> Piece:
        forms: list[str] = []
        if mark.startswith("a "):
            mark, forms = mark[2:], ["a"]
        mark, _, counted = mark.partition("@")
        if "|" in mark:
            one, many = mark.split("|")
            texts = tuple(one if filler.english == "1" else many for filler in self.of(counted))
            return Piece(texts, self.names.index(counted))
        name, *asked = mark.split(".")
        if name not in self.names:
            self.names.append(name)
        slot, fillers = self.names.index(name), self.of(name)
        if not counted:
            return Piece(tuple(_english_form(filler, asked + forms) for filler in fillers), slot)
        return Piece(
            tuple(_english_form(filler, ["s"]) for filler in fillers),
            slot,
            self.names.index(counted),
            tuple(filler.english == "1" for filler in self.of(counted)),
            tuple(_english_form(filler, []) for filler in fillers),
        )

    def korean(self, text: str) -> tuple[Piece, ...]:
        """The pieces of the Korean side; a particle becomes part of the piece before it."""
        pieces: list[Piece] = []
        end = 0
        for mark in _MARK.finditer(text):
            if literal := text[end : mark.start()]:
                pieces.append(Piece((literal,)))
            inner = mark.group()[1:-1]
            if mark.group().startswith("["):
                last = pieces.pop()
                pieces.append(Piece(tuple(t + korean.particle(t, inner) for t in last.texts), last.slot))
            else:
                inner, _, ending = inner.partition(":")
                name, _, extra = inner.partition(".")
                texts = tuple(_korean_form(filler, extra, ending) for filler in self.of(name))
                pieces.append(Piece(texts, self.names.index(name)))
            end = mark.end()
        if end < len(text):
            pieces.append(Piece((text[end:],)))
        return tuple(pieces)


def build(name: str, domain: str, source: str, target: str, fillers: Fillers) -> Template:
    """One template from its two texts; GrammarError, naming the template, where they are wrong."""
    builder = _Builder(fillers)
    try:
        left, right = builder.english(source), builder.korean(target)
    except (ValueError, KeyError, IndexError) as error:
        raise GrammarError(f"template {name}, {source!r}: {error}") from error
    unused = set(range(len(builder.names))) - {piece.slot for piece in right}
    if unused:
        raise GrammarError(f"template {name}, {source!r}: the Korean has no {[builder.names[u] for u in unused]}")
    kinds = tuple(builder.kind(n) for n in builder.names)
    return Template(name, domain, kinds, tuple(len(fillers[kind]) for kind in kinds), left, right)


def _read(name: str) -> str:
    return (files("ojak.corpus.bundled") / "data" / f"{name}.txt").read_text(encoding="utf-8")


@cache
def fillers_of(domain: str) -> Fillers:
    """Every list of fillers that the templates of `domain` may use, the shared ones among them."""
    shared, _ = read_blocks(_read("shared"), {})
    return read_blocks(_read(domain), shared)[0]


@cache
def templates_of(domain: str) -> tuple[Template, ...]:
    """The templates of `domain`, in the order of its file, each named by domain and place: business-001."""
    shared, _ = read_blocks(_read("shared"), {})
    fillers, texts = read_blocks(_read(domain), shared)
    return tuple(
        build(f"{domain}-{place:03}", domain, source, target, fillers)
        for place, (source, target) in enumerate(texts, start=1)
    )


def all_templates() -> Iterable[Template]:
    """The templates of every domain."""
    for domain in DOMAINS:
        yield from templates_of(domain)
