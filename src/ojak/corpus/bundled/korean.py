"""Korean particles and numerals: the parts of a Korean sentence that depend on how the word before them ends."""

from __future__ import annotations

_FIRST, _LAST, _FINALS = 0xAC00, 0xD7A3, 28
RIEUL = 8  # the number of the final consonant ㄹ

# particle as it is written in a template: (after a consonant, after a vowel)
PARTICLES: dict[str, tuple[str, str]] = {
    "은": ("은", "는"),
    "이": ("이", "가"),
    "을": ("을", "를"),
    "과": ("과", "와"),
    "아": ("아", "야"),
    "으로": ("으로", "로"),
    "이나": ("이나", "나"),
    "이랑": ("이랑", "랑"),
    "이에요": ("이에요", "예요"),
    "이었어요": ("이었어요", "였어요"),
    "이라": ("이라", "라"),
    "이고": ("이고", "고"),
    "이라도": ("이라도", "라도"),
    "이든": ("이든", "든"),
    "이요": ("이요", "요"),
}

# how a last character that is no Hangul is read: digits in Sino-Korean, letters by their Korean names
_READING = {
    **dict(zip("0123456789", ("영", "일", "이", "삼", "사", "오", "육", "칠", "팔", "구"), strict=True)),
    **dict(
        zip(
            "abcdefghijklmnopqrstuvwxyz",
            "이 비 시 디 이 프 지 치 이 이 이 엘 엠 엔 오 피 큐 알 스 티 유 이 유 스 이 트".split(),
            strict=True,
        )
    ),
    "%": "트",
}
_ZEROS = ("", "십", "백", "천", "만", "십", "백", "천", "억")  # by the number of zeros at the end: 20 is read 이십

_SINO = ("", "일", "이", "삼", "사", "오", "육", "칠", "팔", "구")
_UNITS = ("", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉")
_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")


def final_consonant(text: str) -> int:
    """The number of the final consonant of the last sound of `text`: 0 for a vowel, `RIEUL` for ㄹ.

    A digit counts as it is read (3 is 삼, 20 is 이십), a Latin letter by its name (L is 엘).
    """
    text = text.rstrip(")\"'”’")
    last = text[-1:].lower()
    if not last:
        raise ValueError("a particle needs a word before it")
    if last == "0":
        digits = text.replace(",", "")
        zeros = len(digits) - len(digits.rstrip("0"))
        if digits[-zeros - 1 : -zeros].isdigit():
            last = _ZEROS[min(zeros, 8)]
    last = _READING.get(last, last)
    if not _FIRST <= ord(last) <= _LAST:
        raise ValueError(f"it is not known how {text!r} is read, so no particle can follow it")
    return (ord(last) - _FIRST) % _FINALS


def particle(text: str, name: str) -> str:
    """The shape that the particle `name` (a key of `PARTICLES`) takes after `text`."""
    closed, opened = PARTICLES[name]
    final = final_consonant(text)
    if name == "으로":
        return opened if final in (0, RIEUL) else closed
    return closed if final else opened


def sino(number: int) -> str:
    """A number of 1 to 99,999,999 in Sino-Korean words, as for minutes, floors and prices: 35 is 삼십오."""
    if not 0 < number < 100_000_000:
        raise ValueError(f"a number must be between 1 and 99,999,999, {number} is not")
    high, low = divmod(number, 10_000)
    if high:
        head = "만" if high == 1 else sino(high) + "만"
        return f"{head} {sino(low)}" if low else head
    words = ""
    for power, name in ((1000, "천"), (100, "백"), (10, "십"), (1, "")):
        digit, number = divmod(number, power)
        if digit:
            words += ("" if digit == 1 and name else _SINO[digit]) + name
    return words


def native(number: int) -> str:
    """A number of 1 to 99 in native Korean words, in the shape that stands before a counter: 20 is 스무."""
    if not 0 < number < 100:
        raise ValueError(f"a native numeral must be between 1 and 99, {number} is not")
    tens, units = divmod(number, 10)
    if tens == 2 and not units:
        return "스무"
    return _TENS[tens] + _UNITS[units]


def money(number: int) -> str:
    """An amount of money as it is written in conversation: 8,500원, 3만 원, 1만 2천 원."""
    if number < 10_000:
        return f"{number:,}원"
    high, low = divmod(number, 10_000)
    if not low:
        return f"{high}만 원"
    return f"{high}만 {low // 1000}천 원" if low % 1000 == 0 else f"{high}만 {low:,}원"


def days(number: int) -> str:
    """A number of days as it is said: the first words of the old series, and 열흘, are still the usual ones."""
    return {1: "하루", 2: "이틀", 3: "사흘", 10: "열흘"}.get(number, f"{number}일")
