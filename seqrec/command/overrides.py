"""key=value overrides of the command line: words, quoted strings, lists and mappings, as in YAML, typed later by the settings."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from seqrec.command.environment import VARIABLE
from seqrec.errors import UserError

ESCAPES = {r"\t": "\t", r"\n": "\n", r"\0": "\0"}
NEXT_KEY = re.compile(r"[A-Za-z_][\w.]*=")
PAIRS = {"[": "]", "{": "}", '"': '"', "'": "'"}


class _Words(yaml.SafeLoader):
    """YAML in which a plain word is text, but null and an empty value are None; without anchors and tags."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        untyped: Any = self
        event = untyped.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise yaml.YAMLError("the signs &, * and ! at a word's start need quotes")
        return super().compose_node(parent, index)

    def construct_word(self, node: Any) -> str | None:
        return str(node.value) if node.style else read_word(node.value or "null")

    def construct_mapping_of_words(self, node: Any) -> dict[str, Any]:
        keys = [self.construct_object(key) for key, _ in node.value]
        if not all(isinstance(key, str) for key in keys):
            raise yaml.YAMLError("a key is a word or a quoted string")
        if len(set(keys)) < len(keys):
            raise yaml.YAMLError("a key is there twice")
        return {key: self.construct_object(value, deep=True) for key, (_, value) in zip(keys, node.value, strict=True)}

    def construct_list_of_words(self, node: Any) -> list[Any]:
        return [self.construct_object(value, deep=True) for value in node.value]


_Words.yaml_implicit_resolvers = {}
_Words.add_constructor("tag:yaml.org,2002:str", _Words.construct_word)
_Words.add_constructor("tag:yaml.org,2002:map", _Words.construct_mapping_of_words)
_Words.add_constructor("tag:yaml.org,2002:seq", _Words.construct_list_of_words)


def parse_overrides(overrides: list[str]) -> dict[str, Any]:
    r"""Dotted key=value pairs as a nested dict of strings, None, lists and dicts; UserError for any other text.

    >>> parse_overrides(["input.delimiter=::", "k_core.users=5", "min_rating=null", "write=[a, b]", r"input.quote=\t"])
    {'input': {'delimiter': '::', 'quote': '\t'}, 'k_core': {'users': '5'}, 'min_rating': None, 'write': ['a', 'b']}
    >>> parse_overrides(["a=[[1, 007], ['x, y', null]]", "b={M: 16}", "c='null'"])
    {'a': [['1', '007'], ['x, y', None]], 'b': {'M': '16'}, 'c': 'null'}
    """
    nested: dict[str, Any] = {}
    for override in overrides:
        key, equals, value = override.partition("=")
        *parents, leaf = key.split(".")
        if not equals or not leaf or not all(parents):
            raise UserError(f"`{override}` is not key=value; an override looks like k_core.users=5")
        inner = nested
        for parent in parents:
            inner = inner.setdefault(parent, {})
            if not isinstance(inner, dict):
                raise UserError(f"`{override}`: {parent} has a value already, so it can't have keys below it")
        inner[leaf] = parse_value(value, override)
    return nested


def parse_value(text: str, override: str) -> Any:
    """The value of an override: a quoted string, a list in [ ], a mapping in { }, else the text itself; null is None.

    In a list or a mapping, unquoted words are text or null too. A list without inner quotes and brackets is split at its commas,
    whatever other characters its words have.
    """
    if len(text) < 2 or PAIRS.get(text[0]) != text[-1]:
        return read_word(text)
    inner = text[1:-1].strip()
    if text[0] == "[" and not any(sign in VARIABLE.sub("", inner) for sign in "[]{}\"'"):
        return [read_word(part.strip()) for part in inner.split(",")] if inner else []
    try:
        return yaml.load(text, _Words)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(getattr(error, "problem", None) or error).split())
        raise UserError(f"`{override}` can't be read ({reason}): quote what has special signs, as in key=['a, b', c]") from None


def read_word(text: str) -> str | None:
    r"""A plain word: itself; null is None, and `\t`, `\n` and `\0` are the characters that they name."""
    return None if text == "null" else ESCAPES.get(text, text)


def show_value(value: Any) -> str:
    r"""The text from which parse_value reads this value: a string, None, or lists and dicts of these.

    >>> show_value("a b"), show_value("null"), show_value(["x", None, "it's"])
    ('a b', '"null"', '["x", null, "it\'s"]')
    """
    if isinstance(value, str):
        return value if _is_plain(value) else _quoted(value)
    return _flow(value)


def split_overrides(text: str) -> list[str]:
    """The overrides in one text, separated by blanks; blanks inside quotes, [ ] and { } belong to the value.

    >>> split_overrides("input.names=[user id, item] min_rating=4  input.delimiter='; '")
    ['input.names=[user id, item]', 'min_rating=4', "input.delimiter='; '"]

    Raises UserError where a quote or a bracket isn't closed, or a word isn't key=value.
    """
    overrides = list(_split(text))
    for override in overrides:
        if not NEXT_KEY.match(override):
            raise UserError(f"`{override}` in `{text}` is not key=value; a value with blanks is quoted: key='a b'")
    return overrides


def _split(text: str) -> Iterator[str]:
    """The words of a text, separated by blanks outside of quotes and brackets."""
    start, position = 0, 0
    while position < len(text):
        if text[position].isspace():
            if start < position:
                yield text[start:position]
            start = position = position + 1
        elif text[position - 1 : position] == "=" and NEXT_KEY.fullmatch(text, start, position) and text[position] in PAIRS:
            position = _close(text, position)
        else:
            position += 1
    if start < position:
        yield text[start:position]


def _close(text: str, start: int) -> int:
    """The position after the bracket or quote that closes the one at `start`; inside brackets, quotes count where words begin."""
    closing, position = [PAIRS[text[start]]], start + 1
    while position < len(text):
        sign, quoted = text[position], closing[-1] in "\"'"
        if quoted and sign == "\\" and closing[-1] == '"':
            position += 1
        elif sign == closing[-1]:
            closing.pop()
        elif not quoted and (sign in "[{" or (sign in "\"'" and text[:position].rstrip()[-1] in "[{,:")):
            closing.append(PAIRS[sign])
        position += 1
        if not closing:
            return position
    raise UserError(f"`{text[start:]}`: {text[start]} isn't closed; a value that begins with it is quoted: key='{text[start]}'")


def _is_plain(text: str) -> bool:
    """Whether a text is read as itself, without quotes."""
    try:
        return bool(parse_value(text, "") == text)
    except UserError:
        return False


def _flow(value: Any) -> str:
    """A value in YAML's flow style, its strings in quotes."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(str(key))}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _quoted(str(value))


def _quoted(text: str) -> str:
    """A string in double quotes."""
    return str(yaml.dump(text, default_style='"', allow_unicode=True, width=float("inf"))).removesuffix("\n")
