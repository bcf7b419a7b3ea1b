"""Patterns that are found for dates, and what Spark makes of them."""

import pytest

from seqrec.dataset.time_formats import date_formats, date_patterns


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("Wed Mar 22 11:37:04 -0700 2017", "EEE MMM d H:mm:ss Z yyyy"),
        ("Wed Mar  2 11:37:04 2017", "EEE MMM d H:mm:ss yyyy"),
        ("Mon Jan 01 00:00:00 UTC 2018", "EEE MMM d H:mm:ss XXX yyyy"),
        ("Wed, 22 Mar 2017 11:37:04 +0000", "EEE, d MMM yyyy H:mm:ss Z"),
        ("Wednesday, March 22, 2017", "EEE, MMMM d, yyyy"),
        ("22/Mar/2017:11:37:04 -0700", "d/MMM/yyyy:H:mm:ss Z"),
        ("Mar 22, 2017 10:00 PM", "MMM d, yyyy h:mm a"),
        ("22-Mar-17", "d-MMM-yy"),
        ("09 13, 2009", "M d, yyyy"),
        ("2017/3/2 1:02:03.5", "yyyy/M/d H:mm:ss[.SSSSSSSSS]"),
        ("2017.03.22", "yyyy.M.d"),
        ("22.03.2017", "d.M.yyyy"),
        ("3/22/17 11:37PM", "M/d/yy h:mma"),
        ("2019-01-31 10:00:00,123", "yyyy-M-d H:mm:ss[,SSSSSSSSS]"),
        ("2019-01-31 10:00 PM", "yyyy-M-d h:mm a"),
        ("2017/03/22T11:37+01:00", "yyyy/M/d'T'H:mmXXX"),
        ("20150301T123000Z", "yyyyMMdd'T'HHmmssXX"),
    ],
)
def test_a_date_with_one_reading(text: str, pattern: str) -> None:
    assert list(date_patterns(text).values()) == [pattern]


@pytest.mark.parametrize(
    "text",
    [
        "12345",
        "1.5e9",
        "2019-01-31",
        "2019-01-31T10:00:00.5Z",
        "2019-01-31 10:00 UTC",
        "31/31/2019",
        "1.2.3",
        "10:30",
        "Toy 1 2019",
    ],
)
def test_what_is_no_such_date(text: str) -> None:
    assert date_patterns(text) == {}


def test_a_column_has_the_readings_that_no_date_excludes() -> None:
    both = date_formats(["2/2/2019", "1/2/2019", "11/12/2019 9:05:58 AM"])
    assert both.alternatives == [("M/d/yyyy", "M/d/yyyy h:mm:ss a"), ("d/M/yyyy", "d/M/yyyy h:mm:ss a")]
    assert both.example == "1/2/2019"
    one = date_formats(["2/2/2019", "1/2/2019", "31/12/2019 9:05:58 AM", "May 5, 2019"])
    assert one == ([("d/M/yyyy", "d/M/yyyy h:mm:ss a", "MMM d, yyyy")], None)
    assert date_formats(["31/01/2019", "01/31/2019", "1/2/2019"]).alternatives == [("M/d/yyyy",), ("d/M/yyyy",)]
    assert date_formats(["5", "2019-01-31"]) == ([], None)
    assert date_formats(["1/2/2019", *["2019-01-31"] * 9]).alternatives == [("M/d/yyyy",), ("d/M/yyyy",)]
    assert date_formats(["1/2/2019", *["2019-01-31"] * 10]) == ([], None)
