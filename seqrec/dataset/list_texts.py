"""Cells of text that hold a list of items: JSON, what Python, numpy and Postgres write, or items between separators.

A cell that begins with a bracket is JSON, or plain items of which the brackets are taken off where that has one meaning: quoted
texts, or words without blanks, between blanks or between one kind of separator. Any other such cell is no list: an ellipsis of
numpy hides items, its exponents have lost digits, and nested lists and objects have several meanings.
"""

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StringType, StructField, StructType

from seqrec.dataset.ids import SPACES
from seqrec.dataset.json_values import plain_value

SEPARATORS = r"[\s,;|]+"  # between the items of a list without brackets
BRACKETS = {"[": "]", "(": ")", "{": "}"}
MISSING = ("None", "null", "NULL", "nan", "NaN", "NaT", "<NA>", "inf", "-inf", "Infinity", "-Infinity")  # words for no item
QUOTED = r"""'[^'\\]*+'|"[^"\\]*+\""""
WORD = r"""(?!\.\.\.|[+-]?\d\.\d*e[+-]\d)[^\s,;|'"\[\](){}MARKS]++"""  # MARKS: what a word must not have, either
POINT = r"^([+-]?\d+)\.$"  # a whole number in an array of floats of numpy
JSON = StructType([StructField("items", ArrayType(StringType()))])


def list_of(cell: Column) -> Column:
    """The items of a cell of text, as texts; null without a cell, and where it begins with a bracket and is no list."""
    text = F.trim(cell, F.lit(SPACES))
    # in an object, because from_json takes a list with anything behind it
    parsed = F.from_json(F.concat(F.lit('{"items":'), text, F.lit("}")), JSON).getField("items")
    flat = F.when(~F.exists(parsed, _is_nested), F.transform(parsed, plain_value))
    words = F.regexp_extract_all(F.substring(text, F.lit(2), F.length(text) - 2), F.lit(_item("")), F.lit(0))
    bare = F.when(text.rlike(_bracketed()), F.transform(words, _unquoted))
    return F.when(begins_like_list(text), F.coalesce(flat, bare)).otherwise(F.split(text, SEPARATORS))


def begins_like_list(text: Column) -> Column:
    """Whether a text begins with a bracket, as the lists of programs do."""
    return F.substring(text, 1, 1).isin(list(BRACKETS))


def _is_nested(item: Column) -> Column:
    """Whether an item is a list or an object in JSON, or a text that reads like one."""
    nested = F.json_array_length(item).isNotNull() | F.json_object_keys(item).isNotNull()
    return F.coalesce(F.substring(item, 1, 1).isin("[", "{") & nested, F.lit(False))


def _unquoted(item: Column) -> Column:
    """An item without its quotes; a word for no item is null."""
    quoted = F.substring(item, F.lit(2), F.length(item) - 2)
    word = F.when(~item.isin(list(MISSING)), F.regexp_replace(item, POINT, "$1"))
    return F.when(F.substring(item, 1, 1).isin("'", '"'), quoted).otherwise(word)


def _item(marks: str) -> str:
    """The expression of an item, whose words have none of these marks."""
    return f"(?:{QUOTED}|{WORD.replace('MARKS', marks)})"


def _bracketed() -> str:
    """The expression of plain items in brackets. A word in braces has no colon and no `=`, which objects and maps have.

    Its repetitions are possessive, so that Java runs them in a loop: long lists would overflow its stack.
    """
    forms = []
    for begin, end in BRACKETS.items():
        item = _item(":=" if begin == "{" else "")
        rows = [rf"{item}(?:\s*+{mark}\s*+{item})*+\s*+{mark}?+" for mark in (",", ";", r"\|")]
        forms.append(rf"\{begin}\s*+(?:{'|'.join(rows)}|{item}(?:\s++{item})*+)?\s*+\{end}")
    return rf"^(?:{'|'.join(forms)})$"
