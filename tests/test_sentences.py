"""Sentence splitting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ojak.text.sentences import split_sentences


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("en", ["Dr. Smith came at 5 p.m. yesterday. ", "He left... really?  ", "Yes!"]),
        ("en-GB", ["It costs 3.50 pounds. ", "Too much."]),
        ("ko", ["안녕하세요. ", "저는 3.14를 좋아해요! ", "정말요? ", "그럼요."]),
        ("ko_KR", ["네.\n", "아니요."]),
        ("ja", ["今日は。", "元気ですか？", "はい。"]),
        ("", ["One. ", "Two."]),
        ("qq", ["One. ", "Two."]),
    ],
)
def test_sentences_are_found(language: str, sentences: list[str]) -> None:
    assert split_sentences("".join(sentences), language) == sentences


@given(
    st.text(alphabet="ab가나 .!?。\n\t\"'\u3000\u2029\r…)") | st.text(), st.sampled_from(["en", "ko", "ja", "", "x"])
)
def test_nothing_is_lost_and_no_sentence_is_blank(text: str, language: str) -> None:
    sentences = split_sentences(text, language)
    assert "".join(sentences) == text
    assert len(sentences) <= 1 or all(sentence.strip() for sentence in sentences)
