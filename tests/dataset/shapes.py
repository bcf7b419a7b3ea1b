"""Files of ratings in the shapes that people have, with made-up ids: what is found in them, and how they are read.

    python -m tests.dataset.shapes [SHAPE …]     a table of all shapes, or of those whose names hold one of the words

`tests/dataset/test_shapes.py` holds the same shapes to what is expected of them.
"""

import gzip
import json
import random
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from seqrec.command.config import load_config
from seqrec.command.screen import aligned
from seqrec.dataset.detect import DetectedInput, detect
from seqrec.dataset.parse import parse_ratings
from seqrec.dataset.profile import WantedTypes, profile
from seqrec.dataset.read import read_interactions
from seqrec.dataset.unpack import open_unpacked
from seqrec.errors import UserError
from seqrec.settings.build_sequences import BuildSequences
from seqrec.tables.input_table import InputTable

CONF = str(Path(__file__).parents[2] / "conf" / "build_sequences.yaml")


class Event(NamedTuple):
    """An event with ids from 1, stars from 1 to 5, and a time in epoch seconds."""

    user: int
    item: int
    stars: int
    time: int


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A file: its name and content (or what writes it), the settings given, and the columns of user, item, rating and time.

    `columns` is instead the pattern of the refusal where the file is refused.
    """

    name: str
    file: str = "ratings.csv"
    content: str | bytes | Callable[[Path], None]
    columns: tuple[str | None, str | None, str | None, str | None] | str
    given: Sequence[str] = ()


class Reading(NamedTuple):
    """What was read of a file: rows, users, items, the first and the last time."""

    rows: int
    users: int
    items: int
    first: datetime
    last: datetime


def made_up(*, users: int = 12, items: int = 9, each: int = 6, gap: int = 400) -> list[Event]:
    """Events of users one after another; a user's come in a burst, `gap` seconds apart at most."""
    draw = random.Random(1)
    starts = [draw.randrange(1_500_000_000, 1_580_000_000) for _ in range(users)]
    return [
        Event(user + 1, 1 + draw.randrange(items), draw.randint(1, 5), start + draw.randint(1, gap) + place * gap)
        for user, start in enumerate(starts)
        for place in range(each)
    ]


EVENTS = made_up()
BY_TIME = sorted(EVENTS, key=lambda event: event.time)
NEWEST_FIRST = BY_TIME[::-1]


def iso(event: Event, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """An event's time as a date."""
    return datetime.fromtimestamp(event.time, UTC).strftime(form)


def lines(cells: Callable[[Event], Sequence[object]], *, mark: str = ",", header: str = "", of: Iterable[Event] = EVENTS) -> str:
    """A text with a line an event."""
    rows = [mark.join(map(str, cells(event))) for event in of]
    return "\n".join([*([header] if header else []), *rows, ""])


def objects(cells: Callable[[Event], dict[str, object]], *, of: Iterable[Event] = EVENTS) -> str:
    """JSON lines, an object an event."""
    return "".join(json.dumps(cells(event)) + "\n" for event in of)


def reviewer(event: Event) -> str:
    """An id of a user, in the form of Amazon's."""
    return f"A{event.user:02d}QX7KZ{event.user * 977:05d}"


def asin(event: Event) -> str:
    """An id of an item, in the form of Amazon's."""
    return f"B00{event.item:02d}XK{event.item * 97:03d}"


def number(event: Event) -> int:
    """The number of an event."""
    return EVENTS.index(event)


def history(user: int) -> list[int]:
    """A user's items."""
    return [event.item for event in EVENTS if event.user == user]


def rated(item: int) -> list[Event]:
    """An item's events."""
    return [event for event in EVENTS if event.item == item]


def parquet(path: Path) -> None:
    """A table of Spark's own types."""
    times = pa.array([event.time * 10**6 for event in EVENTS], pa.timestamp("us", tz="UTC"))
    ids = {"customer": [event.user for event in EVENTS], "sku": [f"s{event.item}" for event in EVENTS]}
    pq.write_table(pa.table({**ids, "bought": times}), path)


def zipped(path: Path) -> None:
    """An archive of one file."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ml/ratings.csv", MOVIELENS_CSV)


MOVIELENS_CSV = lines(lambda e: (e.user, e.item, e.stars + 0.5, e.time), header="userId,movieId,rating,timestamp")
MOVIELENS = lines(lambda e: (e.user, e.item, e.stars, e.time), mark="::")
SHAPES = [
    Shape(name="MovieLens 1M", file="ratings.dat", content=MOVIELENS, columns=("column_1", "column_2", "column_3", "column_4")),
    Shape(
        name="MovieLens 1M, one user's lines",
        file="ratings.dat",
        content=lines(lambda e: (1, 7 * number(e) + 1, e.stars, e.time), mark="::"),
        columns=("column_1", "column_2", "column_3", "column_4"),
    ),
    Shape(
        name="MovieLens 100K",
        file="u.data",
        content=lines(lambda e: (e.user, e.item, e.stars, e.time), mark="\t", of=BY_TIME),
        columns=("column_1", "column_2", "column_3", "column_4"),
    ),
    Shape(
        name="MovieLens 25M",
        content=MOVIELENS_CSV,
        columns=("userId", "movieId", "rating", "timestamp"),
    ),
    Shape(
        name="MovieTweetings",
        file="ratings.dat",
        content=lines(lambda e: (e.user, f"{e.item:07d}", e.stars * 2, e.time), mark="::"),
        columns=("column_1", "column_2", "column_3", "column_4"),
    ),
    Shape(
        name="Amazon 2014, no header",
        content=lines(lambda e: (reviewer(e), asin(e), float(e.stars), e.time)),
        columns=("column_1", "column_2", "column_3", "column_4"),
    ),
    Shape(
        name="Amazon 2018, no header, the item first",
        content=lines(lambda e: (asin(e), reviewer(e), float(e.stars), e.time)),
        columns=("column_2", "column_1", "column_3", "column_4"),
    ),
    Shape(
        name="Amazon 2018, JSON",
        file="reviews.json",
        content=objects(
            lambda e: {
                "overall": float(e.stars),
                "reviewTime": iso(e, "%m %d, %Y"),
                "reviewerID": reviewer(e),
                "asin": asin(e),
                "reviewerName": "N. N.",
                "reviewText": "good, if long",
                "unixReviewTime": e.time,
            }
        ),
        columns=("reviewerID", "asin", "overall", "unixReviewTime"),
    ),
    Shape(
        name="Amazon 2023, JSON",
        file="reviews.jsonl",
        content=objects(
            lambda e: {
                "rating": float(e.stars),
                "title": "a title",
                "images": [],
                "asin": asin(e) + "X",
                "parent_asin": asin(e),
                "user_id": reviewer(e),
                "timestamp": e.time * 1000,
                "helpful_vote": 0,
            }
        ),
        columns=("user_id", "parent_asin", "rating", "timestamp"),
    ),
    Shape(
        name="Amazon 2023, with histories",
        content=lines(
            lambda e: (reviewer(e), asin(e), float(e.stars), e.time * 1000, f"{asin(e)} {asin(e)}"),
            header="user_id,parent_asin,rating,timestamp,history",
        ),
        columns=("user_id", "parent_asin", "rating", "timestamp"),
    ),
    Shape(
        name="Amazon's customer reviews",
        file="reviews.tsv",
        content=lines(
            lambda e: ("US", 10000 + e.user, f"R{number(e):08d}", asin(e), 600 + e.item, e.stars, "a title", iso(e, "%Y-%m-%d")),
            mark="\t",
            header="marketplace\tcustomer_id\treview_id\tproduct_id\tproduct_parent\tstar_rating\treview_headline\treview_date",
        ),
        columns=("customer_id", "product_id", "star_rating", "review_date"),
    ),
    Shape(
        name="Yelp, JSON",
        file="review.json",
        content=objects(
            lambda e: {
                "review_id": f"r{number(e)}",
                "user_id": f"u{e.user}",
                "business_id": f"b{e.item}",
                "stars": float(e.stars),
                "useful": 0,
                "text": "a text, with, commas",
                "date": iso(e),
            }
        ),
        columns=("user_id", "business_id", "stars", "date"),
    ),
    Shape(
        name="Yelp, CSV",
        content=lines(
            lambda e: (f"r{number(e)}", f"u{e.user}", f"b{e.item}", e.stars, iso(e)),
            header="review_id,user_id,business_id,stars,date",
        ),
        columns=("user_id", "business_id", "stars", "date"),
    ),
    Shape(
        name="Yoochoose, no header",
        file="yoochoose-clicks.dat",
        content=lines(lambda e: (e.user, iso(e, "%Y-%m-%dT%H:%M:%S.123Z"), 214_536_500 + e.item, e.item % 4)),
        columns=("column_1", "column_3", None, "column_2"),
    ),
    Shape(
        name="Retailrocket",
        file="events.csv",
        content=lines(
            lambda e: (e.time * 1000, 1000 + e.user, ("view", "addtocart")[e.stars > 4], 30000 + e.item, ""),
            header="timestamp,visitorid,event,itemid,transactionid",
        ),
        columns=("visitorid", "itemid", None, "timestamp"),
    ),
    Shape(
        name="Retailrocket, no header",
        file="events.csv",
        content=lines(lambda e: (e.time * 1000, 1000 + e.user, ("view", "addtocart")[e.stars > 4], 30000 + e.item, "")),
        columns=("column_2", "column_4", None, "column_1"),
    ),
    Shape(
        name="Last.fm 1K, no header",
        file="plays.tsv",
        content=lines(
            lambda e: (
                f"user_{e.user:06d}",
                iso(e, "%Y-%m-%dT%H:%M:%SZ"),
                f"a-{e.item % 5}-{e.item}",
                f"Artist {'ABCDE'[e.item % 5]}",
                f"t{number(e) % 31}",
                f"Song {number(e) % 31}",
            ),
            mark="\t",
        ),
        columns="more columns look like ids than those of user and item; it could be column_1 .*: set input.columns.item_id",
    ),
    Shape(
        name="Last.fm 1K, the item given",
        file="plays.tsv",
        content=lines(
            lambda e: (
                f"user_{e.user:06d}",
                iso(e, "%Y-%m-%dT%H:%M:%SZ"),
                f"a-{e.item % 5}",
                "An Artist",
                f"t{e.item}",
                "A Song",
            ),
            mark="\t",
        ),
        given=("input.columns.item_id=column_5",),
        columns=("column_1", "column_5", None, "column_2"),
    ),
    Shape(
        name="Last.fm 360K, plays",
        file="plays.tsv",
        content=lines(
            lambda e: (f"{e.user:04x}f3a9", f"{e.item:04x}-b17c", f"Artist No. {e.item}", 100 + 7 * number(e)), mark="\t"
        ),
        columns=("column_1", "column_2", None, None),
    ),
    Shape(
        name="Last.fm of HetRec",
        file="user_artists.dat",
        content=lines(lambda e: (e.user, e.item, 100 + e.time % 977), mark="\t", header="userID\tartistID\tweight"),
        columns=("userID", "artistID", "weight", None),
    ),
    Shape(
        name="Goodreads, CSV",
        content=lines(lambda e: (e.user, e.item, 1, e.stars, 0), header="user_id,book_id,is_read,rating,is_reviewed"),
        columns=("user_id", "book_id", "rating", None),
    ),
    Shape(
        name="Goodreads, JSON",
        file="interactions.json",
        content=objects(
            lambda e: {
                "user_id": f"{e.user:032x}",
                "book_id": str(e.item),
                "review_id": f"{number(e):032x}",
                "rating": e.stars,
                "date_added": iso(e, "%a %b %d %H:%M:%S -0700 %Y"),
                "date_updated": iso(e, "%a %b %d %H:%M:%S -0700 %Y"),
            }
        ),
        columns=r"several columns could be the time; it could be date_added \(.*\); date_updated \(.*input.columns.timestamp",
    ),
    Shape(
        name="Goodreads, JSON, the time given",
        file="interactions.json",
        content=objects(
            lambda e: {"user_id": f"u{e.user}", "book_id": str(e.item), "date_added": iso(e), "date_updated": iso(e)}
        ),
        given=("input.columns.timestamp=date_added",),
        columns=("user_id", "book_id", None, "date_added"),
    ),
    Shape(
        name="Gowalla",
        file="checkins.txt",
        content=lines(
            lambda e: (e.user, iso(e, "%Y-%m-%dT%H:%M:%SZ"), 30 + e.item / 7, -97 - e.item / 9, 22000 + e.item),
            mark="\t",
            of=NEWEST_FIRST,
        ),
        columns=("column_1", "column_5", None, "column_2"),
    ),
    Shape(
        name="Foursquare, no header",
        file="checkins.txt",
        content=lines(
            lambda e: (
                e.user,
                f"4b5b{e.item:04x}",
                f"4bf5{e.item % 3:04x}",
                "Home",
                40 + e.item / 7,
                -74 - e.item / 9,
                -240,
                iso(e, "%a %b %d %H:%M:%S +0000 %Y"),
            ),
            mark="\t",
        ),
        columns=("column_1", "column_2", None, "column_8"),
    ),
    Shape(
        name="Foursquare, with a header",
        content=lines(
            lambda e: (e.user, f"4b5b{e.item:04x}", "Home", 40 + e.item / 7, -240, iso(e, "%a %b %d %H:%M:%S +0000 %Y")),
            header="userId,venueId,venueCategory,latitude,timezoneOffset,utcTimestamp",
        ),
        columns=("userId", "venueId", None, "utcTimestamp"),
    ),
    Shape(
        name="MIND",
        file="behaviors.tsv",
        content=lines(
            lambda e: (
                number(e) + 1,
                f"U{e.user}",
                iso(e, "%m/%d/%Y %I:%M:%S %p"),
                "N1 N2" + " N3" * e.stars,
                f"N{e.item}-0 N7-1",
            ),
            mark="\t",
        ),
        columns="too few columns look like ids .*column_4 and column_5 hold lists, which input.columns.items takes",
    ),
    Shape(
        name="Taobao",
        file="UserBehavior.csv",
        content=lines(lambda e: (e.user, 2000 + e.item, 400 + e.item % 3, ("pv", "buy")[e.stars > 4], e.time)),
        columns=("column_1", "column_2", None, "column_5"),
    ),
    Shape(
        name="KION",
        content=lines(
            lambda e: (e.user, e.item, iso(e, "%Y-%m-%d"), 60 * e.stars, 20.0 * e.stars),
            header="user_id,item_id,last_watch_dt,total_dur,watched_pct",
        ),
        columns=("user_id", "item_id", None, "last_watch_dt"),
    ),
    Shape(
        name="Globo",
        content=lines(
            lambda e: (e.user, 100 + e.user, e.time * 1000, 2, 157_000 + e.item, e.time * 1000 + e.stars, 4),
            header="user_id,session_id,session_start,session_size,click_article_id,click_timestamp,click_environment",
        ),
        columns=("user_id", "click_article_id", None, "click_timestamp"),
    ),
    Shape(
        name="BeerAdvocate",
        content=lines(
            lambda e: (e.item % 3, "a brewery", e.time, e.stars, f"drinker{e.user}", "IPA", e.item),
            header="brewery_id,brewery_name,review_time,review_overall,review_profilename,beer_style,beer_beerid",
        ),
        columns=("review_profilename", "beer_beerid", "review_overall", "review_time"),
    ),
    Shape(
        name="Amazon's fine food",
        content=lines(
            lambda e: (number(e) + 1, asin(e), reviewer(e), f"name {e.user}", 1, 1, e.stars, e.time, "a summary", "a text"),
            header="Id,ProductId,UserId,ProfileName,HelpfulnessNumerator,HelpfulnessDenominator,Score,Time,Summary,Text",
        ),
        columns=("UserId", "ProductId", "Score", "Time"),
    ),
    Shape(
        name="H&M",
        content=lines(
            lambda e: (iso(e, "%Y-%m-%d"), f"{e.user:064x}", 663_713_000 + e.item, e.stars / 59, 2),
            header="t_dat,customer_id,article_id,price,sales_channel_id",
        ),
        columns=("customer_id", "article_id", None, "t_dat"),
    ),
    Shape(
        name="Diginetica",
        file="train-item-views.csv",
        content=lines(
            lambda e: (e.user, "NA" if e.user > 2 else e.user, 81000 + e.item, 500 * e.stars, iso(e, "%Y-%m-%d")),
            mark=";",
            header="sessionId;userId;itemId;timeframe;eventdate",
        ),
        columns=r"the user would be userId, but 83% of its rows are empty; it could be userId \(1, 2\); sessionId",
    ),
    Shape(
        name="Diginetica, the session given",
        file="train-item-views.csv",
        content=lines(
            lambda e: (e.user, "NA", 81000 + e.item, 500 * e.stars, iso(e, "%Y-%m-%d")),
            mark=";",
            header="sessionId;userId;itemId;timeframe;eventdate",
        ),
        given=("input.columns.user_id=sessionId",),
        columns=("sessionId", "itemId", None, "eventdate"),
    ),
    Shape(
        name="RecBole",
        file="ml.inter",
        content=lines(
            lambda e: (e.user, e.item, e.stars, float(e.time)),
            mark="\t",
            header="user_id:token\titem_id:token\trating:float\ttimestamp:float",
        ),
        columns=("user_id:token", "item_id:token", "rating:float", "timestamp:float"),
    ),
    Shape(
        name="Excel",
        content="\ufeff"
        + lines(
            lambda e: (f"K{e.user}", f"Artikel {e.item}", f"{e.stars},5", iso(e, "%d.%m.%Y %H:%M")),
            mark=";",
            header="Kunde;Artikel;Bewertung;Datum",
        ),
        columns=("Kunde", "Artikel", "Bewertung", "Datum"),
    ),
    Shape(
        name="pandas, with its index",
        content=lines(lambda e: (number(e), e.user, e.item, float(e.stars), iso(e)), header=",userId,movieId,rating,date"),
        columns=("userId", "movieId", "rating", "date"),
    ),
    Shape(
        name="pandas, with its index, no header",
        content=lines(lambda e: (number(e), e.user, e.item, float(e.stars), iso(e))),
        columns=("column_2", "column_3", "column_4", "column_5"),
    ),
    Shape(
        name="Steam, no header",
        file="steam-200k.csv",
        content=lines(
            lambda e: (151_603_700 + e.user, f'"The Game, Part {"IVXLCDMQR"[e.item - 1]}"', "play", e.stars * 2.7, 0),
        ),
        columns=("column_1", "column_2", None, None),
    ),
    Shape(
        name="Book-Crossing",
        file="BX-Book-Ratings.csv",
        content=lines(
            lambda e: (f'"{276_000 + e.user}"', f'"{e.item:09d}X"', f'"{e.stars}"'),
            mark=";",
            header='"User-ID";"ISBN";"Book-Rating"',
        ),
        columns=("User-ID", "ISBN", "Book-Rating", None),
    ),
    Shape(
        name="Jester",
        file="jester.csv",
        content=lines(lambda e: [74, *(round(-9.5 + (e.item * place) % 19, 2) for place in range(1, 40)), 99]),
        columns="its 41 columns of numbers look like a matrix",
    ),
    Shape(
        name="Ta-feng",
        content=lines(
            lambda e: (f"{iso(e, '%m/%d/%Y')}", f"{e.user:08d}", "45-49", 115, 100205 + e.item % 3, 471_000_000 + e.item, 2, 30),
            header="TRANSACTION_DT,CUSTOMER_ID,AGE_GROUP,PIN_CODE,PRODUCT_SUBCLASS,PRODUCT_ID,AMOUNT,SALES_PRICE",
        ),
        columns=("CUSTOMER_ID", "PRODUCT_ID", None, "TRANSACTION_DT"),
    ),
    Shape(
        name="Instacart",
        content=lines(lambda e: (e.user, e.item, e.stars, 1), header="order_id,product_id,add_to_cart_order,reordered"),
        columns="no column has a name known for the user .*: set input.columns.user_id",
    ),
    Shape(
        name="Online Retail",
        content=lines(
            lambda e: (500_000 + number(e), f"8{e.item:04d}", "a lamp", 6, iso(e, "%m/%d/%Y %H:%M"), 2.55, 17000 + e.user, "UK"),
            header="InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country",
        ),
        columns=("CustomerID", "StockCode", None, "InvoiceDate"),
    ),
    Shape(
        name="KuaiRand",
        content=lines(
            lambda e: (e.user, e.item, iso(e, "%Y%m%d"), 1200, e.time * 1000, 1, 0),
            header="user_id,video_id,date,hourmin,time_ms,is_click,is_like",
        ),
        columns=("user_id", "video_id", None, "time_ms"),
    ),
    Shape(
        name="Tenrec",
        content=lines(
            lambda e: (e.user, e.item, 1, 0, 0, e.item % 3, e.stars, 1, 30),
            header="user_id,item_id,click,follow,like,video_category,watching_times,gender,age",
        ),
        columns=("user_id", "item_id", None, None),
    ),
    Shape(
        name="Douban",
        file="moviereviews.tsv",
        content=lines(lambda e: (e.user, e.item, e.stars, float(e.time)), mark="\t", header="UserId\tItemId\tRating\tTimestamp"),
        columns=("UserId", "ItemId", "Rating", "Timestamp"),
    ),
    Shape(
        name="pairs of LightGCN's kind",
        file="train.txt",
        content=lines(lambda e: (e.user, e.item), mark=" "),
        columns=("column_1", "column_2", None, None),
    ),
    Shape(
        name="pairs with fewer values at first",
        file="train.txt",
        content=lines(lambda e: (e.item, e.user), mark=" "),
        columns=r"column_1 has fewer values \(9\) than column_2 \(12\), so that either could be the user",
    ),
    Shape(
        name="no header, the item first",
        content=lines(lambda e: (e.item, e.user, e.stars, e.time)),
        columns="the times of column_2 come in bursts, as those of users do; it could be column_1 .*input.columns.user_id",
    ),
    Shape(
        name="no header, the item first, given",
        content=lines(lambda e: (e.item, e.user, e.stars, e.time)),
        given=("input.names=[movie, user, rating, time]",),
        columns=("user", "movie", "rating", "time"),
    ),
    Shape(
        name="no header, the item first, the user given",
        content=lines(lambda e: (e.item, e.user, e.stars, e.time)),
        given=("input.columns.user_id=column_2",),
        columns=("column_2", "column_1", "column_3", "column_4"),
    ),
    Shape(
        name="names and values that don't agree",
        content=lines(lambda e: (asin(e), reviewer(e), e.time), header="user_id,item_id,timestamp"),
        columns="by their names and by their values the columns of user and item are the reverse; it could be user_id",
    ),
    Shape(
        name="a date of an unknown name, newest first",
        content=lines(lambda e: (e.user, e.item, iso(e)), header="user,item,wann", of=NEWEST_FIRST),
        columns=("user", "item", None, "wann"),
    ),
    Shape(
        name="two dates of unknown names",
        content=lines(lambda e: (e.user, e.item, iso(e), iso(e)), header="user,item,seen,left"),
        columns="several columns could be the time; it could be seen .*; left",
    ),
    Shape(
        name="a number that may be an order",
        content=lines(lambda e: (e.user, e.item, number(e)), header="user,item,order_number"),
        columns="no column is surely the time; it could be order_number .* to null for the order of the lines",
    ),
    Shape(
        name="large ids, no time",
        content=lines(lambda e: (e.user, 214_536_500 + e.item, 7_656_119_797_000 + e.item), header="user_id,item_id,seller"),
        columns=("user_id", "item_id", None, None),
    ),
    Shape(
        name="a row number of the user's name",
        content=lines(lambda e: (number(e), f"m{e.user}", e.item, e.time), header="user,member,item,time"),
        columns="the user would be user, but hardly any value is there twice, .*; it could be user .*; member",
    ),
    Shape(
        name="some dirty cells at the start",
        content=lines(
            lambda e: (e.user, e.item, "?" if number(e) == 1 else e.stars, "n/a" if number(e) == 2 else e.time),
            header="user,item,rating,time",
        ),
        columns=("user", "item", "rating", "time"),
    ),
    Shape(
        name="a rating in words",
        content=lines(lambda e: (e.user, e.item, "good", e.time), header="user,item,rating,time"),
        columns=r"the column with the rating's name holds no numbers; it could be rating \(good\).*to null where there is none",
    ),
    Shape(
        name="a time in words",
        content=lines(lambda e: (e.user, e.item, "in the evening"), header="user,item,time"),
        columns="the column with the time's name holds no times; it could be time .in the evening.: set input.columns.timestamp",
    ),
    Shape(
        name="a rating in words, given as none",
        content=lines(lambda e: (e.user, e.item, "good", e.time), header="user,item,rating,time"),
        given=("input.columns.rating=null",),
        columns=("user", "item", None, "time"),
    ),
    Shape(
        name="names that nobody knows",
        content=lines(lambda e: (e.user, e.item, e.time), header="wer,was,wann"),
        columns="no column has a name known for the user, nor for the item, input.columns.item_id .left are wer, was, wann",
    ),
    Shape(
        name="names that nobody knows, given",
        content=lines(lambda e: (e.user, e.item, iso(e)), header="wer,was,wann"),
        given=("input.columns.user_id=wer", "input.columns.item_id=was"),
        columns=("wer", "was", None, "wann"),
    ),
    Shape(
        name="lists, JSON",
        file="users.json",
        content="".join(json.dumps({"user": user, "items": history(user)}) + "\n" for user in range(1, 13)),
        columns=("user", "items", None, None),
    ),
    Shape(
        name="lists of many users, each in one row",
        file="users.json",
        content="".join(json.dumps({"user_id": user, "items": [user % 7, user % 5, 9]}) + "\n" for user in range(1, 61)),
        columns=("user_id", "items", None, None),
    ),
    Shape(
        name="lists and times, JSON",
        file="users.json",
        content="".join(
            json.dumps({"user": user, "items": history(user), "timestamps": [e.time for e in EVENTS if e.user == user]}) + "\n"
            for user in range(1, 13)
        ),
        columns=("user", "items", None, "timestamps"),
    ),
    Shape(
        name="OTTO",
        file="train.jsonl",
        content="".join(
            json.dumps(
                {
                    "session": user,
                    "events": [{"aid": e.item, "ts": e.time * 1000, "type": "clicks"} for e in EVENTS if e.user == user],
                }
            )
            + "\n"
            for user in range(1, 13)
        ),
        columns=("session", "events", None, "ts"),
    ),
    Shape(
        name="lists of baskets, several rows a user",
        file="baskets.json",
        content=objects(lambda e: {"user": e.user, "date": iso(e), "items": [e.item, e.stars]}),
        columns=("user", "items", None, "date"),
    ),
    Shape(
        name="MIND, the list given",
        file="behaviors.tsv",
        content=lines(
            lambda e: (number(e) + 1, f"U{e.user}", iso(e, "%m/%d/%Y %I:%M:%S %p"), "N1 N2" + " N3" * e.stars, "N7-1 N8-0"),
            mark="\t",
        ),
        given=("input.columns.items=column_4",),
        columns=("column_2", "column_4", None, None),
    ),
    Shape(
        name="lists, no header",
        file="users.tsv",
        content="".join(f"u{user}\t{','.join(map(str, history(user)))}\n" for user in range(1, 13)),
        columns=("column_1", "column_2", None, None),
    ),
    Shape(
        name="MIND, with a header",
        file="behaviors.tsv",
        content=lines(
            lambda e: (number(e) + 1, f"U{e.user}", iso(e, "%m/%d/%Y %I:%M:%S %p"), f"N{e.user} N2", f"N{e.item}-0 N7-1"),
            mark="\t",
            header="impression_id\tuser_id\ttime\thistory\timpressions",
        ),
        columns="most users with several rows have the same list in each, in history",
    ),
    Shape(
        name="lists, CSV",
        content="user_id,items\n" + "".join(f"{user},{' '.join(map(str, history(user)))}\n" for user in range(1, 13)),
        columns=("user_id", "items", None, None),
    ),
    Shape(
        name="Netflix",
        file="combined_data_1.txt",
        content="".join(
            f"{item}:\n"
            + lines(lambda e: (1_488_800 + e.user, e.stars, iso(e, "%Y-%m-%d")), of=[e for e in EVENTS if e.item == item])
            for item in range(1, 10)
        ),
        columns=("user_id", "item_id", "rating", "timestamp"),
    ),
    Shape(
        name="a line a user, one delimiter throughout",
        file="train.txt",
        content="".join(f"{user} {' '.join(map(str, history(user)[: 3 + user % 4]))}\n" for user in range(1, 13)),
        columns=("user_id", "items", None, None),
    ),
    Shape(
        name="an array of JSON",
        file="ratings.json",
        content=json.dumps(
            [{"userId": e.user, "movie": f"m{e.item}", "stars": e.stars, "date": iso(e)} for e in EVENTS], indent=1
        ),
        columns=("userId", "movie", "stars", "date"),
    ),
    Shape(
        name="UTF-16, as Excel's Unicode text",
        file="ratings.txt",
        content=lines(lambda e: (f"Bärbel{e.user}", e.item, e.time), mark="\t", header="Benutzer\tArtikel\tZeit").encode(
            "utf-16"
        ),
        columns=("Benutzer", "Artikel", None, "Zeit"),
    ),
    Shape(
        name="Latin-1",
        content=lines(lambda e: (f"José{e.user}", e.item, e.time), header="user,item,time").encode("latin-1"),
        columns=("user", "item", None, "time"),
    ),
    Shape(
        name="gzip",
        file="ratings.csv.gz",
        content=gzip.compress(MOVIELENS_CSV.encode(), mtime=0),
        columns=("userId", "movieId", "rating", "timestamp"),
    ),
    Shape(name="ZIP", file="ml.zip", content=zipped, columns=("userId", "movieId", "rating", "timestamp")),
    Shape(
        name="titles with quotes and line ends",
        content=lines(
            lambda e: (e.user, f'"The ""Best""\nof, {e.item}"', e.item, e.time), header="user_id,title,movie_id,timestamp"
        ),
        columns=("user_id", "movie_id", None, "timestamp"),
    ),
    Shape(
        name="tweets' dates",
        content=lines(lambda e: (e.user, e.item, iso(e, "%a %b %d %H:%M:%S +0000 %Y")), header="user,item,created_at"),
        columns=("user", "item", None, "created_at"),
    ),
    Shape(
        name="dates without marks",
        content=lines(lambda e: (e.user, e.item, iso(e, "%Y%m%d")), header="user,item,date"),
        columns=("user", "item", None, "date"),
    ),
    Shape(
        name="epochs in nanoseconds",
        content=lines(lambda e: (e.user, e.item, e.time * 10**9)),
        columns=("column_1", "column_2", None, "column_3"),
    ),
    Shape(name="Parquet", file="ratings.parquet", content=parquet, columns=("customer", "sku", None, "bought")),
]


def write_shape(shape: Shape, folder: Path) -> Path:
    """Write the file of a shape into a folder of its own."""
    path = folder / "".join(letter if letter.isalnum() else "_" for letter in shape.name) / shape.file
    path.parent.mkdir(parents=True)
    if callable(shape.content):
        shape.content(path)
    else:
        path.write_bytes(shape.content.encode() if isinstance(shape.content, str) else shape.content)
    return path


def detect_shape(
    spark: SparkSession, shape: Shape, path: Path, *, readable: Callable[[InputTable], InputTable] = lambda table: table
) -> DetectedInput:
    """What is found in the file of a shape; `readable` unpacks it for Spark."""
    config = load_config(BuildSequences, CONF, ["data=d", f"input.path={path}", *shape.given])
    return detect(spark, config.input.wanted_ratings, config.input.wanted_columns, readable=readable)


def found_columns(detected: DetectedInput) -> tuple[str | None, str | None, str | None, str | None]:
    """The columns of user, item or items, rating and time."""
    columns = detected.columns
    return columns.user_id, columns.items or columns.item_id, columns.rating, columns.timestamp


def read_shape(spark: SparkSession, detected: DetectedInput) -> Reading:
    """What is read as it was found."""
    time = "ms" if detected.columns.timestamp is None else "auto"
    interactions = read_interactions(spark, detected.readable, detected.columns)
    facts = profile(interactions, WantedTypes(time=time))
    bounds = F.min("timestamp"), F.max("timestamp")
    users, items, first, last = (
        parse_ratings(interactions, types=facts.types)
        .agg(F.count_distinct("user_id"), F.count_distinct("item_id"), *bounds)
        .collect()[0]
    )
    moments = [datetime.fromtimestamp((time or 0) / 1000, UTC) for time in (first, last)]
    return Reading(facts.usable, users, items, *moments)


def main(wanted: Sequence[str]) -> None:
    """Print the table."""
    from seqrec.command.session import open_session

    spark = open_session("shapes", **{"spark.master": "local[2]", "spark.ui.enabled": "false"})
    rows = [["shape", "user", "item", "rating", "time", "rows", "users", "items", "first", "last"]]
    refused = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as copies:
        readable = partial(open_unpacked, folder=f"{folder}/copies", copies=copies)
        for shape in SHAPES:
            if wanted and not any(word in shape.name for word in wanted):
                continue
            try:
                detected = detect_shape(spark, shape, write_shape(shape, Path(folder)), readable=readable)
                reading = read_shape(spark, detected)
            except UserError as error:
                refused.append(f"{shape.name}: {str(error).replace(folder + '/', '')}")
                continue
            times = [""] * 2 if detected.columns.timestamp is None else [f"{time:%Y-%m-%d}" for time in reading[3:]]
            rows.append([shape.name, *(column or "–" for column in found_columns(detected)), *map(str, reading[:3]), *times])
    sys.stdout.write(aligned(rows, left=5) + "\n\nrefused:\n" + "\n".join(refused) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
