"""English words in the shape that a sentence needs: article, plural, verb forms, numbers in words."""

from __future__ import annotations

import re

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth"}
_AN = re.compile(r"(?:hour|honest|heir|[aeiou]|(?:MRI|X-ray|MVP|NBA|8|11\b|18\b))")
_NOT_AN = re.compile(r"(?:uni|ur[io]|use|usu|eu|one\b|once|ukulele)", re.IGNORECASE)
_PLURALS = {
    "child": "children", "person": "people", "knife": "knives", "foot": "feet", "tooth": "teeth", "man": "men",
    "woman": "women", "wife": "wives", "shelf": "shelves", "leaf": "leaves", "loaf": "loaves", "scarf": "scarves",
    "fish": "fish", "sheep": "sheep", "photo": "photos", "kilo": "kilos", "piano": "pianos", "series": "series",
    "half": "halves",
}  # fmt: skip
# base: (past, participle); a form in -ing that doubles its consonant is in _DOUBLED
_IRREGULAR = {
    "be": ("was", "been"), "become": ("became", "become"), "begin": ("began", "begun"), "break": ("broke", "broken"),
    "bring": ("brought", "brought"), "build": ("built", "built"), "buy": ("bought", "bought"),
    "catch": ("caught", "caught"), "choose": ("chose", "chosen"), "come": ("came", "come"), "cost": ("cost", "cost"),
    "cut": ("cut", "cut"), "do": ("did", "done"), "draw": ("drew", "drawn"), "drink": ("drank", "drunk"),
    "drive": ("drove", "driven"), "eat": ("ate", "eaten"), "fall": ("fell", "fallen"), "feed": ("fed", "fed"),
    "feel": ("felt", "felt"), "find": ("found", "found"), "fly": ("flew", "flown"), "forget": ("forgot", "forgotten"),
    "get": ("got", "gotten"), "give": ("gave", "given"), "go": ("went", "gone"), "grow": ("grew", "grown"),
    "hang": ("hung", "hung"), "have": ("had", "had"), "hear": ("heard", "heard"), "hit": ("hit", "hit"),
    "hold": ("held", "held"), "hurt": ("hurt", "hurt"), "keep": ("kept", "kept"), "know": ("knew", "known"),
    "leave": ("left", "left"), "lend": ("lent", "lent"), "lose": ("lost", "lost"), "make": ("made", "made"),
    "meet": ("met", "met"), "pay": ("paid", "paid"), "put": ("put", "put"), "read": ("read", "read"),
    "ride": ("rode", "ridden"), "run": ("ran", "run"), "see": ("saw", "seen"), "sell": ("sold", "sold"),
    "send": ("sent", "sent"), "set": ("set", "set"), "sing": ("sang", "sung"), "sit": ("sat", "sat"),
    "sleep": ("slept", "slept"), "speak": ("spoke", "spoken"), "spend": ("spent", "spent"), "stand": ("stood", "stood"),
    "swim": ("swam", "swum"), "take": ("took", "taken"), "teach": ("taught", "taught"), "tell": ("told", "told"),
    "think": ("thought", "thought"), "throw": ("threw", "thrown"), "wake": ("woke", "woken"), "wear": ("wore", "worn"),
    "win": ("won", "won"), "write": ("wrote", "written"), "rewrite": ("rewrote", "rewritten"),
    "shoot": ("shot", "shot"), "lie": ("lay", "lain"), "quit": ("quit", "quit"),
}  # fmt: skip
_DOUBLED = {
    "begin", "chat", "clip", "cut", "forget", "get", "hit", "jog", "mop", "plan", "put", "run", "set",
    "ship", "shop", "sit", "stop", "swim", "trim", "win", "drop", "wrap", "skip", "hug", "step", "scan", "submit",
    "slip", "trip", "rub", "quit",
}  # fmt: skip


def article(phrase: str) -> str:
    """`phrase` with a or an before it, by its sound as far as the words of the grammar need."""
    return ("an " if _AN.match(phrase) and not _NOT_AN.match(phrase) else "a ") + phrase


def plural(phrase: str) -> str:
    """`phrase` with its head noun, the word before any "of", "for", "to" ..., in the plural."""
    found = re.search(r" (?:of|for|to|from|with|in|on|without) ", phrase)
    cut = found.start() if found else len(phrase)
    before, space, noun = phrase[:cut].rpartition(" ")
    return before + space + _plural_noun(noun) + phrase[cut:]


def _plural_noun(noun: str) -> str:
    if noun in _PLURALS:
        return _PLURALS[noun]
    if re.search(r"(?:s|x|z|ch|sh|tomato|potato)$", noun):
        return noun + "es"
    return noun[:-1] + "ies" if re.search(r"[^aeiou]y$", noun) else noun + "s"


def verb(phrase: str, form: str) -> str:
    """`phrase`, which begins with a verb in its base form, with that verb in `form`: ing, past, pp or s."""
    base, space, rest = phrase.partition(" ")
    return _verb(base, form) + space + rest


def _verb(base: str, form: str) -> str:
    doubled = base + base[-1] if base in _DOUBLED else base
    silent = base[:-1] if re.search(r"[^eo]e$", base) and base != "be" else base
    if form == "ing" and base == "lie":
        return "lying"
    if form == "ing":
        return (doubled if base in _DOUBLED else silent) + "ing"
    if form == "s":
        if base in ("be", "have"):
            return {"be": "is", "have": "has"}[base]
        return base + "es" if base in ("go", "do") else _plural_noun(base)
    if base in _IRREGULAR:
        return _IRREGULAR[base][form == "pp"]
    if base.endswith("e"):
        return base + "d"
    return base[:-1] + "ied" if re.search(r"[^aeiou]y$", base) else doubled + "ed"


def words(number: int) -> str:
    """A number of 0 to 999 in words: 35 is thirty-five."""
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, units = divmod(number, 10)
        return _TENS[tens] + (f"-{_ONES[units]}" if units else "")
    hundreds, rest = divmod(number, 100)
    return f"{_ONES[hundreds]} hundred" + (f" and {words(rest)}" if rest else "")


def ordinal(number: int) -> str:
    """A number of 1 to 99 as an ordinal in words: 21 is twenty-first."""
    head, dash, last = words(number).rpartition("-")
    if last in _ORDINALS:
        last = _ORDINALS[last]
    elif last.endswith("y"):
        last = last[:-1] + "ieth"
    else:
        last = "twelfth" if last == "twelve" else last + "th"
    return head + dash + last


def short_ordinal(number: int) -> str:
    """A number as a date says it: 21 is 21st."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
