"""Overrides: what a key=value means, and that every value can be written as one."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqrec.command.overrides import parse_overrides, parse_value, show_value, split_overrides
from seqrec.errors import UserError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    TEXTS | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS.filter(bool), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "text", ["::", ";", "|", "#", "[", "{", "'", '"', "&", "*", "!", "%", "@", "a: b", "007", "~", "- a", "it's", " "]
)
def test_words_stay_the_text_that_they_are(text: str) -> None:
    assert parse_overrides([f"input.delimiter={text}"]) == {"input": {"delimiter": text}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        (r"\t", "\t"),
        ("'null'", "null"),
        ("'; '", "; "),
        (r'"\t"', "\t"),
        (r"'\t'", r"\t"),
        ("''", ""),
        ("[]", []),
        ("[null, x]", [None, "x"]),
        ("[|, ;, #, a: b, ${A}]", ["|", ";", "#", "a: b", "${A}"]),
        ("['a, b', c]", ["a, b", "c"]),
        ("[it's, b]", ["it's", "b"]),
        ("[[1, 007], [null, 'null']]", [["1", "007"], [None, "null"]]),
        ("{M: 16, 'a b': [x, {y: }]}", {"M": "16", "a b": ["x", {"y": None}]}),
        ("{}", {}),
    ],
)
def test_quotes_lists_and_mappings(text: str, value: Any) -> None:
    assert parse_overrides([f"a={text}"]) == {"a": value}


def test_overrides_keep_what_is_theirs() -> None:
    assert parse_overrides(["a= b=c ", "b.c=[]", "b.d={x: 1}"]) == {"a": " b=c ", "b": {"c": [], "d": {"x": "1"}}}


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["lr"], "`lr` is not key=value; an override looks like k_core.users=5"),
        (["=5"], "`=5` is not key=value"),
        (["a..b=5"], "`a..b=5` is not key=value"),
        (["a.=5"], "`a.=5` is not key=value"),
        (["lr=1", "lr.x=2"], "`lr.x=2`: lr has a value already"),
        (["a=[[x]"], r"`a=\[\[x\]` can't be read .*: quote what has special signs"),
        (["a={x: 1, x: 2}"], "a key is there twice"),
        (["a={[x]: 1}"], "a key is a word or a quoted string"),
        (["a=[&b [*b]]"], "at a word's start need quotes"),
        (["a={b: !!python/object/apply:os.system [x]}"], "at a word's start need quotes"),
        (["a='x' or 'y'"], "can't be read"),
        (["a=" + "[" * 5000 + "]" * 5000], "can't be read"),
    ],
)
def test_what_is_no_override_is_named(overrides: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse_overrides(overrides)


@given(VALUES)
def test_every_value_can_be_written_as_an_override(value: Any) -> None:
    assert parse_value(show_value(value), "") == value


@given(st.lists(st.tuples(st.from_regex(r"[a-z_]{1,4}", fullmatch=True), VALUES), max_size=4, unique_by=lambda pair: pair[0]))
def test_overrides_in_one_text_are_found_again(pairs: list[tuple[str, Any]]) -> None:
    overrides = [f"{key}={show_value([value])}" for key, value in pairs]
    assert split_overrides("  ".join(overrides)) == overrides
    assert parse_overrides(overrides) == {key: [value] for key, value in pairs}


@given(st.lists(st.text(max_size=20) | st.text("=.[]{}'\", :#&*!|>%@`-a\n\\", max_size=20), max_size=3))
def test_any_text_is_an_override_or_a_user_error(texts: list[str]) -> None:
    for call in (lambda: parse_overrides(texts), lambda: split_overrides(" ".join(texts))):
        with suppress(UserError):
            call()


def test_one_text_is_split_at_blanks_outside_of_values() -> None:
    text = "input.names=[user id, 'a]b' , it's]\n min_rating=4 input.delimiter='; ' x=it's y=a=b"
    assert split_overrides(text) == [
        "input.names=[user id, 'a]b' , it's]",
        "min_rating=4",
        "input.delimiter='; '",
        "x=it's",
        "y=a=b",
    ]
    assert split_overrides(" ") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a=my file.csv b=1", r"`file.csv` in `a=my file.csv b=1` is not key=value; a value with blanks is quoted: key='a b'"),
        ("a=[ b=1", r"`\[ b=1`: \[ isn't closed; a value that begins with it is quoted: key='\['"),
        ("a=' b=1", "isn't closed"),
    ],
)
def test_what_can_t_be_split_is_named(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        split_overrides(text)
