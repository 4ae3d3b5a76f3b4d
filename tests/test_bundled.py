"""The bundled corpus: right particles and numbers, the same draw everywhere, nothing held out that is trained on."""

from __future__ import annotations

import re
import subprocess
import sys
import unicodedata
from collections import Counter
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ojak.corpus.bundled import DOMAINS, english, generate, handwritten, korean, size
from ojak.corpus.bundled.conjugate import conjugate
from ojak.corpus.bundled.draw import part_of, permuted
from ojak.corpus.bundled.grammar import (
    GrammarError,
    Piece,
    all_templates,
    build,
    fillers_of,
    read_blocks,
    templates_of,
)
from ojak.corpus.pair import Pair
from ojak.errors import UseError

SYLLABLES = st.integers(0xAC00, 0xD7A3).map(chr)


@cache
def everything() -> list[tuple[str, str, str]]:
    """Template, source and target of every combination that the grammar holds."""
    found = []
    for template in all_templates():
        for index in range(template.span):
            combination = template.combination(index)
            if combination is not None:
                found.append((template.name, *template.realise(combination)))
    return found


@cache
def drawn() -> list[Pair]:
    return generate(20_000, seed=3)


# ------------------------------------------------------------------------------------------------ Korean


@pytest.mark.parametrize(
    ("word", "name", "shape"),
    [
        ("커피", "은", "는"), ("물", "은", "은"), ("민수 씨", "이", "가"), ("선생님", "이", "이"),
        ("책", "을", "을"), ("차", "을", "를"), ("빵", "과", "과"), ("우유", "과", "와"),
        ("서울", "으로", "로"), ("부산", "으로", "으로"), ("제주", "으로", "로"), ("지하철", "으로", "로"),
        ("학생", "이에요", "이에요"), ("의사", "이에요", "예요"), ("물", "이나", "이나"), ("차", "이나", "나"),
        ("3", "을", "을"), ("2", "을", "를"), ("10", "으로", "으로"), ("7", "으로", "로"), ("0", "이", "이"),
        ("100", "은", "은"), ("10,000", "은", "은"), ("MRI", "을", "를"), ("TV", "을", "를"), ("CCTV L", "으로", "로"),
        ("5%", "은", "는"), ("카페(서울)", "으로", "로"),
    ],
)  # fmt: skip
def test_particles_of_known_words(word: str, name: str, shape: str) -> None:
    assert korean.particle(word, name) == shape


@given(SYLLABLES, st.sampled_from(sorted(korean.PARTICLES)))
def test_particles_of_any_syllable(syllable: str, name: str) -> None:
    jamo = unicodedata.normalize("NFD", syllable)  # two letters are an open syllable, three a closed one
    shape = korean.particle("가" + syllable, name)
    closed, opened = korean.PARTICLES[name]
    if name == "으로" and jamo.endswith("\u11af"):  # ㄹ
        assert shape == "로"
    else:
        assert shape == (closed if len(jamo) == 3 else opened)


def test_a_particle_after_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(ValueError, match="how '!' is read"):
        korean.particle("!", "을")
    with pytest.raises(ValueError, match="needs a word"):
        korean.particle("", "을")


@pytest.mark.parametrize(
    ("number", "sino", "native"),
    [
        (1, "일", "한"), (2, "이", "두"), (3, "삼", "세"), (4, "사", "네"), (5, "오", "다섯"), (6, "육", "여섯"),
        (7, "칠", "일곱"), (8, "팔", "여덟"), (9, "구", "아홉"), (10, "십", "열"), (11, "십일", "열한"),
        (12, "십이", "열두"), (20, "이십", "스무"), (21, "이십일", "스물한"), (34, "삼십사", "서른네"),
        (40, "사십", "마흔"), (55, "오십오", "쉰다섯"), (60, "육십", "예순"), (78, "칠십팔", "일흔여덟"),
        (80, "팔십", "여든"), (99, "구십구", "아흔아홉"),
    ],
)  # fmt: skip
def test_both_number_systems(number: int, sino: str, native: str) -> None:
    assert (korean.sino(number), korean.native(number)) == (sino, native)


@pytest.mark.parametrize(
    ("number", "words"),
    [(100, "백"), (101, "백일"), (110, "백십"), (1000, "천"), (2024, "이천이십사"), (10_000, "만"),
     (12_500, "만 이천오백"), (340_000, "삼십사만"), (1_000_001, "백만 일")],
)  # fmt: skip
def test_large_sino_korean_numbers(number: int, words: str) -> None:
    assert korean.sino(number) == words


@given(st.integers(1, 99_999_999))
def test_sino_korean_numbers_read_back(number: int) -> None:
    digits = {name: value for value, name in enumerate("영일이삼사오육칠팔구")}
    powers = {"십": 10, "백": 100, "천": 1000}
    total = section = digit = 0
    for letter in korean.sino(number).replace(" ", ""):
        if letter == "만":
            total, section, digit = (section + digit or 1) * 10_000, 0, 0
        elif letter in powers:
            section, digit = section + (digit or 1) * powers[letter], 0
        else:
            digit = digits[letter]
    assert total + section + digit == number


def test_numbers_out_of_range_are_refused() -> None:
    for number in (0, 100, -3):
        with pytest.raises(ValueError, match="between 1 and 99"):
            korean.native(number)
    with pytest.raises(ValueError, match="between 1 and 99,999,999"):
        korean.sino(0)


def test_money() -> None:
    amounts = {8_500: "8,500원", 30_000: "3만 원", 12_000: "1만 2천 원", 68_500: "6만 8,500원"}
    assert {number: korean.money(number) for number in amounts} == amounts


VERBS = """
    가다 + 아요 = 가요; 오다 + 아요 = 와요; 보다 + 았어요 = 봤어요;
    배우다 + 아요 = 배워요; 마시다 + 아요 = 마셔요; 보내다 + 아요 = 보내요; 켜다 + 아요 = 켜요;
    쉬다 + 아요 = 쉬어요; 되다 + 았어요 = 됐어요; 전화하다 + 았어요 = 전화했어요; 쓰다 + 아요 = 써요;
    아프다 + 았어요 = 아팠어요; 고르다 + 아요 = 골라요; 서두르다 + 아요 = 서둘러요; 들르다 + 아요 = 들러요;
    걷다 + 으면 = 걸으면; 듣다 + 아요 = 들어요; 받다 + 으면 = 받으면; 춥다 + 을 = 추울; 돕다 + 아 = 도와;
    굽다 + 는 = 굽는; 굽다 + 은 = 구운; 입다 + 아요 = 입어요; 낫다 + 을 = 나을; 씻다 + 으세요 = 씻으세요;
    만들다 + 으세요 = 만드세요; 만들다 + 습니다 = 만듭니다; 만들다 + 으면 = 만들면; 만들다 + 는 = 만드는;
    만들다 + 을까요 = 만들까요; 만들다 + 으라고 = 만들라고; 먹다 + 습니다 = 먹습니다; 먹다 + 으세요 = 드세요;
    자다 + 으세요 = 주무세요; 가다 + 읍시다 = 갑시다; 찾다 + 읍시다 = 찾읍시다; 맵다 + 아요 = 매워요;
    달다 + 아요 = 달아요; 테니스를 치다 + 을래요 = 테니스를 칠래요; 앉아 있다 + 지 = 앉아 있지;
    붓다 + 았어요 = 부었어요
"""


@pytest.mark.parametrize("line", [line.strip() for line in VERBS.replace(";", "\n").split("\n") if line.strip()])
def test_verbs(line: str) -> None:
    (word, ending), said = line.split(" = ")[0].split(" + "), line.split(" = ")[1]
    assert conjugate(word, ending) == said


def test_a_verb_must_be_in_its_dictionary_form() -> None:
    with pytest.raises(ValueError, match="dictionary form"):
        conjugate("가요", "고")


# ----------------------------------------------------------------------------------------------- English


def test_english_forms() -> None:
    words = ("apple", "hour", "university", "MRI scan", "one-way ticket", "X-ray")
    assert [english.article(word) for word in words] == [
        "an apple", "an hour", "a university", "an MRI scan", "a one-way ticket", "an X-ray"
    ]  # fmt: skip
    assert [english.plural(word) for word in ("box", "knife", "berry", "day", "tomato", "cup of tea", "man")] == [
        "boxes", "knives", "berries", "days", "tomatoes", "cups of tea", "men"
    ]  # fmt: skip
    assert [english.verb("go home", form) for form in ("ing", "past", "pp", "s")] == [
        "going home", "went home", "gone home", "goes home"
    ]  # fmt: skip
    assert [english.verb(v, "ing") for v in ("make tea", "run", "see", "fix it")] == [
        "making tea", "running", "seeing", "fixing it"
    ]  # fmt: skip
    assert english.verb("lie down", "ing") == "lying down"
    assert [english.verb(v, "past") for v in ("study", "play", "stop", "bake")] == [
        "studied",
        "played",
        "stopped",
        "baked",
    ]
    assert [english.words(n) for n in (0, 13, 20, 21, 100, 342)] == [
        "zero", "thirteen", "twenty", "twenty-one", "one hundred", "three hundred and forty-two"
    ]  # fmt: skip
    assert [english.ordinal(n) for n in (1, 2, 9, 12, 20, 21)] == [
        "first", "second", "ninth", "twelfth", "twentieth", "twenty-first"
    ]  # fmt: skip
    assert [english.short_ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 22)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd"
    ]  # fmt: skip


# ----------------------------------------------------------------------------------------------- grammar


def test_the_grammar_is_wide() -> None:
    for domain in DOMAINS:
        assert len(templates_of(domain)) >= 60
    assert size() >= 400_000
    assert size() == len(everything())


def test_every_list_of_fillers_is_used() -> None:
    for domain in DOMAINS:
        used = {kind for template in templates_of(domain) for kind in template.kinds}
        own = set(fillers_of(domain)) - set(fillers_of(DOMAINS[0])) if domain != DOMAINS[0] else set()
        assert not own - used
    everywhere = {kind for template in all_templates() for kind in template.kinds}
    assert set(fillers_of(DOMAINS[0])) <= everywhere


def test_no_list_names_a_filler_twice() -> None:
    for domain in DOMAINS:
        for name, fillers in fillers_of(domain).items():
            for side in ("english", "korean"):
                twice = [word for word, times in Counter(getattr(f, side) for f in fillers).items() if times > 1]
                assert not twice, f"{domain} [{name}]: {twice}"


def test_faults_of_a_file_are_named() -> None:
    with pytest.raises(GrammarError, match="' = '"):
        read_blocks("[drink]\ncoffee 커피", {})
    with pytest.raises(GrammarError, match="twice"):
        read_blocks("[drink]\ntea = 차\n[drink]\n", {})
    fillers, _ = read_blocks("[drink]\ntea = 차", {})
    with pytest.raises(GrammarError, match=r"no list \[food\]"):
        build("x", "business", "A {food}.", "{food}.", fillers)
    with pytest.raises(GrammarError, match="the Korean has no"):
        build("x", "business", "The {drink}.", "차.", fillers)
    with pytest.raises(GrammarError, match="no form 'ing'"):
        build("x", "business", "The {drink.ing}.", "{drink}.", fillers)


def test_agreement_and_distinct_slots() -> None:
    fillers, _ = read_blocks("[n: number 1-2]\n[drink]\ntea = 차 ; unit=잔\nbox of milk = 우유 ; unit=팩", {})
    template = build(
        "x", "business", "{n} {drink@n}, {a drink2}.", "{drink} {n:한} {drink.unit}, {drink2}[을].", fillers
    )
    combinations = [template.combination(index) for index in range(template.span)]
    made = {template.realise(c) for c in combinations if c is not None}
    assert template.size == len(made) == 4
    assert ("Two boxes of milk, a tea.", "우유 두 팩, 차를.") in made
    assert ("One tea, a box of milk.", "차 한 잔, 우유를.") in made


def test_one_source_has_one_target_and_no_part_holds_a_sentence_of_the_other() -> None:
    targets: dict[str, str] = {}
    parts: dict[str, set[str]] = {"train": set(), "held_out": set()}
    for name, source, target in everything():
        assert targets.setdefault(source, target) == target, f"{name}: {source!r} has two targets"
        parts[part_of(target)] |= {source, target}
    assert not parts["train"] & parts["held_out"]
    share = len(parts["held_out"]) / (len(parts["train"]) + len(parts["held_out"]))
    assert 0.09 < share < 0.11


def test_every_template_has_both_parts() -> None:
    seen = {(name, part_of(target)) for name, _, target in everything()}
    small = [t.name for t in all_templates() if t.size < 60]
    for template in all_templates():
        assert (template.name, "train") in seen
        assert (template.name, "held_out") in seen or template.name in small


def test_every_sentence_is_clean() -> None:
    for name, source, target in everything():
        both = source + target
        assert "  " not in both and both.strip() == both, name
        assert not re.search(r"[{}\[\]~@\t\n]", both), f"{name}: {both}"
        assert source[0].isupper() or source[0].isdigit(), f"{name}: {source}"
        assert source[-1] in ".?!" and target[-1] in ".?!", f"{name}: {both}"
        assert not re.search(r"[가-힣]", source) and re.search(r"[가-힣]", target), f"{name}: {both}"


def test_agreement_that_can_be_seen_in_the_sentences() -> None:
    for pair in drawn():
        source, target = pair.source, pair.target
        assert not re.search(r"\b[Aa] [aeiou](?!ni|r[io]|ne\b|ne-|se|su|uro)", source), source
        assert not re.search(r"\b[Aa]n (?:uni|ur[io]|use|(?![aeiouMX]|hour|honest|IV))", source), source
        assert not re.search(r"\b(the|a|an|my|your|to|at|in|on) \1\b", source, re.IGNORECASE), source
        assert not re.search(r"의의|을을|를를|에에|[을를][은는이가]|(?<=[가-힣])이이에요", target), target
        for word in re.findall(r"[가-힣]+", target):
            decomposed = [len(unicodedata.normalize("NFD", letter)) for letter in word]
            if len(word) > 1 and word.endswith("를"):
                assert decomposed[-2] == 2, target
            if word.endswith("예요") and len(word) > 2:
                assert decomposed[-3] == 2, target
            if word.endswith("으로") and len(word) > 2:
                assert decomposed[-3] == 3 and not unicodedata.normalize("NFD", word[-3]).endswith("\u11af"), target


def test_registers_are_not_mixed_in_a_pair() -> None:
    for pair in drawn():
        ends = [s.rstrip(".?! ") for s in re.findall(r"[^.?!]+[.?!]", pair.target)]
        formal = [bool(re.search(r"(니다|니까|시오|시다)$", end)) for end in ends]
        assert all(formal) or not any(formal), pair.target


# -------------------------------------------------------------------------------------------------- draw


def test_a_draw_is_the_same_in_another_process() -> None:
    code = "from ojak.corpus.bundled import generate; print(*map(ascii, generate(60, 5, 'held_out')), sep='|')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.rstrip("\n") == "|".join(ascii(pair) for pair in generate(60, 5, "held_out"))


def test_draws_differ_by_seed_and_not_by_call() -> None:
    assert generate(500, 1) == generate(500, 1)
    first, second = ({pair.source for pair in generate(500, seed)} for seed in (1, 2))
    assert len(first & second) < 250


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 1003])
def test_domains_have_equal_shares(count: int) -> None:
    pairs = generate(count, 9)
    shares = Counter(pair.label for pair in pairs)
    assert len(pairs) == count and len({pair.source for pair in pairs}) == count
    assert set(shares) <= set(DOMAINS)
    assert all(abs(shares[domain] - count / 5) < 1 for domain in DOMAINS)


def test_domains_are_mixed_in_the_order() -> None:
    labels = [pair.label for pair in generate(1000, 4)]
    assert set(labels[:60]) == set(DOMAINS)
    assert sum(a == b for a, b in pairwise(labels)) < 400


def test_templates_of_a_domain_take_turns() -> None:
    by_source = {source: name for name, source, _ in everything()}
    used = Counter(by_source[pair.source] for pair in drawn())
    assert len(used) == sum(len(templates_of(domain)) for domain in DOMAINS)
    for domain in DOMAINS:
        share = 4000 / len(templates_of(domain))
        assert max(used[t.name] for t in templates_of(domain)) < 2.2 * share


def test_held_out_is_apart_from_what_is_drawn_to_train_on() -> None:
    held_out = generate(5_000, 8, "held_out")
    train_sources, train_targets = {p.source for p in drawn()}, {p.target for p in drawn()}
    assert not any(p.source in train_sources or p.target in train_targets for p in held_out)
    assert len({p.source for p in held_out}) == 5_000


def test_a_hundred_thousand_distinct_pairs_can_be_drawn() -> None:
    pairs = generate(100_000, 0)
    assert len({pair.source for pair in pairs}) == 100_000
    assert all(pair.source == unicodedata.normalize("NFC", pair.source) for pair in pairs)
    assert all(pair.target == unicodedata.normalize("NFC", pair.target) for pair in pairs)


def test_what_does_not_exist_cannot_be_drawn() -> None:
    with pytest.raises(UseError, match="in all"):
        generate(size() + 1, 0)
    with pytest.raises(UseError, match="held_out pairs of"):
        generate(size() // 3, 0, "held_out")
    with pytest.raises(UseError, match="0 or more"):
        generate(-1, 0)
    with pytest.raises(UseError, match="'train' or 'held_out'"):
        generate(1, 0, "test")  # type: ignore[arg-type]


@given(st.integers(0, 300), st.integers(0, 2**64 - 1))
def test_a_permutation_names_each_number_once(count: int, key: int) -> None:
    assert sorted(permuted(count, key)) == list(range(count))


# ------------------------------------------------------------------------------------------- handwritten


def test_the_handwritten_set() -> None:
    pairs = handwritten()
    assert len(pairs) >= 250
    groups = {(pair.label, pair.group) for pair in pairs}
    assert Counter(label for label, _ in groups) == dict.fromkeys(DOMAINS, 10)
    assert all(5 <= turns <= 7 for turns in Counter(pair.group for pair in pairs).values())
    assert len({pair.source for pair in pairs}) == len({pair.target for pair in pairs}) == len(pairs)
    for pair in pairs:
        for text in (pair.source, pair.target):
            assert text == unicodedata.normalize("NFC", text).strip() and "  " not in text
            assert text[-1] in ".?!"
        assert not re.search(r"[가-힣]", pair.source) and re.search(r"[가-힣]", pair.target)


def _pattern(pieces: tuple[Piece, ...]) -> re.Pattern[str]:
    return re.compile("".join("(?:" + "|".join(map(re.escape, piece.all_texts())) + ")" for piece in pieces))


def test_no_template_makes_a_handwritten_sentence() -> None:
    sources, targets = ({pair.source for pair in handwritten()}, {pair.target for pair in handwritten()})
    for name, source, target in everything():
        assert source not in sources and target not in targets, name
    for template in all_templates():
        left, right = _pattern(template.source), _pattern(template.target)
        assert not any(left.fullmatch(text) for text in sources), template.name
        assert not any(right.fullmatch(text) for text in targets), template.name
