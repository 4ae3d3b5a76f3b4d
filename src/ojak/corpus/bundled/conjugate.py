"""Korean verbs and adjectives: a dictionary form and an ending give the word as it is said.

An ending is written in its fullest shape and decides by its first letters how it joins the stem:

    아…            the ending of vowel harmony    가다 + 아요 = 가요, 먹다 + 아요 = 먹어요, 하다 + 아요 = 해요
    을… 은… 읍…    a consonant that may close the stem    가다 + 을까요 = 갈까요, 먹다 + 을까요 = 먹을까요
    으…            the linking vowel    가다 + 으면 = 가면, 먹다 + 으면 = 먹으면
    습…            the formal ending    가다 + 습니다 = 갑니다, 먹다 + 습니다 = 먹습니다
    anything else  joins as it is    가다 + 고 = 가고
"""

from __future__ import annotations

_BASE = 0xAC00
_VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_FINALS = " ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"

_REGULAR_B = ("입", "잡", "뽑", "씹", "접", "좁", "집", "넓", "붙잡", "뵙")
_IRREGULAR_D = ("걷", "듣", "싣", "깨닫", "묻", "알아듣", "긷")
_REGULAR_S = ("씻", "벗", "웃", "빗", "솟", "빼앗")
_PLAIN_REU = ("들르", "따르", "치르", "잠그", "다다르")  # 들러, not 들를라
_HONORED = {"먹": "들", "마시": "들", "자": "주무시"}  # the polite verbs that stand in before 으시
_CONTRACTED = {"ㅗ": "ㅘ", "ㅜ": "ㅝ", "ㅣ": "ㅕ", "ㅚ": "ㅙ"}
_OPEN = "ㅏㅐㅓㅔㅕ"  # stem vowels that swallow the vowel of the ending


def _parts(syllable: str) -> tuple[int, str, str]:
    code = ord(syllable) - _BASE
    return code // 588, _VOWELS[code % 588 // 28], _FINALS[code % 28]


def _syllable(initial: int, vowel: str, final: str = " ") -> str:
    return chr(_BASE + initial * 588 + _VOWELS.index(vowel) * 28 + _FINALS.index(final))


def _close(text: str, final: str) -> str:
    """`text` with the consonant `final` under its last, open syllable."""
    initial, vowel, _ = _parts(text[-1])
    return text[:-1] + _syllable(initial, vowel, final)


def conjugate(word: str, ending: str) -> str:
    """`word`, a dictionary form in 다 that may have words before it (테니스를 치다), with `ending`."""
    if not word.endswith("다") or len(word) < 2:
        raise ValueError(f"a verb must be given in its dictionary form, in 다, {word!r} is not")
    head, _, stem = word[:-1].rpartition(" ")
    head += " " if head else ""
    if ending.startswith(("으세", "으시", "으셨", "으십", "으신", "으실")):
        stem = _HONORED.get(stem, stem)
        if stem == "주무시":
            return head + "주무" + ending[1:]
    if ending.startswith("아"):
        return head + _harmony(stem, ending[1:])
    if ending.startswith("았"):
        joined = _harmony(stem, "")
        return head + _close(joined, "ㅆ") + ending[1:]
    return head + _joined(stem, ending)


def _soft(stem: str) -> str:
    """The stem before a vowel: 듣 → 들, 돕 → 도우, 낫 → 나 (the last two take no linking vowel again)."""
    initial, vowel, final = _parts(stem[-1])
    if final == "ㅂ" and not stem.endswith(_REGULAR_B):
        return stem[:-1] + _syllable(initial, vowel) + "우"
    if final == "ㄷ" and stem.endswith(_IRREGULAR_D):
        return stem[:-1] + _syllable(initial, vowel, "ㄹ")
    if final == "ㅅ" and not stem.endswith(_REGULAR_S):
        return stem[:-1] + _syllable(initial, vowel)
    return stem


def _harmony(stem: str, rest: str) -> str:
    """The stem with 아 or 어, contracted, and the rest of the ending."""
    if stem.endswith("하"):
        return stem[:-1] + "해" + rest
    initial, vowel, final = _parts(stem[-1])
    if final != " ":
        softened = _soft(stem)
        if softened.endswith("우") and softened != stem:
            return softened[:-1] + ("와" if stem in ("돕", "곱") else "워") + rest
        return softened + ("아" if vowel in "ㅏㅗㅑ" else "어") + rest
    if stem[-1] == "르" and len(stem) > 1 and not stem.endswith(_PLAIN_REU):
        before = _parts(stem[-2])[1]
        return _close(stem[:-1], "ㄹ") + ("라" if before in "ㅏㅗ" else "러") + rest
    if vowel == "ㅡ":
        bright = len(stem) > 1 and _parts(stem[-2])[1] in "ㅏㅗ"
        return stem[:-1] + _syllable(initial, "ㅏ" if bright else "ㅓ") + rest
    if vowel in _OPEN:
        return stem + rest
    if vowel in _CONTRACTED:
        return stem[:-1] + _syllable(initial, _CONTRACTED[vowel]) + rest
    return stem + "어" + rest


def _joined(stem: str, ending: str) -> str:
    """The stem with an ending that begins with 을, 은, 읍, 으, 습 or any other consonant."""
    first, rest = ending[0], ending[1:]
    initial, vowel, final = _parts(stem[-1])
    bare = stem[:-1] + _syllable(initial, vowel)
    if first in "을은읍":
        closing = _FINALS[(ord(first) - _BASE) % 28]
        if final == " ":
            return _close(stem, closing) + rest
        if final == "ㄹ":
            return _close(bare, closing) + rest
        soft = _soft(stem)
        if soft.endswith("우"):
            return _close(soft, closing) + rest
        return soft + ending
    if first == "으":
        if final == " ":
            return stem + rest
        if final == "ㄹ":
            return (bare if rest[:1] in ("세", "시", "셨", "십", "신", "실", "니") else stem) + rest
        soft = _soft(stem)
        return soft + rest if soft.endswith("우") else soft + ending
    if first == "습":
        if final == " ":
            return _close(stem, "ㅂ") + rest
        return _close(bare, "ㅂ") + rest if final == "ㄹ" else stem + ending
    if final == "ㄹ" and (ord(first) - _BASE) // 588 in (2, 9):  # ㄹ falls before ㄴ and ㅅ
        return bare + ending
    return stem + ending
