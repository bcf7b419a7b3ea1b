"""The names under which the data sets of the field have users, items, ratings and times, and what other words in a name say."""

import re
from collections.abc import Mapping, Sequence

Tiers = Sequence[Sequence[str]]  # plain names: those of one tier are equally good, those of an earlier one are better

NOUNS = (
    *("movie", "film", "product", "track", "song", "artist", "album", "book", "article", "business", "video", "game", "anime"),
    *("news", "listing", "hotel", "venue", "poi", "restaurant", "recipe", "course", "post", "app", "show", "podcast", "stock"),
    *("bookmark", "beer", "wine", "program", "programme", "episode", "job", "offer", "page", "problem", "question", "pin"),
    *("artikel", "produkt", "produit", "producto", "pelicula"),
)
WIDE_NOUNS = ("location", "place", "content", "media", "photo")  # of an item where no better name is there
CODES = ("asin", "isbn", "sku", "gtin", "stockcode", "articlenumber", "artikelnummer", "productcode")
USERS: Tiers = (
    ("userid", "uid", "useridx", "userindex", "userno"),
    ("user",),
    ("reviewerid", "customerid", "visitorid", "memberid", "clientid", "buyerid", "profileid", "personid", "accountid", "msno"),
    ("viewerid", "listenerid", "playerid", "readerid", "subscriberid", "deviceid", "cookieid", "guestid", "cardid"),
    ("customer", "reviewer", "visitor", "member", "client", "buyer", "usersha1", "usersha", "steamid", "householdkey"),
    (
        "username",
        "usersname",
        "profilename",
        "reviewprofilename",
        "nutzer",
        "nutzerid",
        "kunde",
        "kundennummer",
        "kundenid",
        "benutzer",
        "utilisateur",
        "usuario",
    ),
    ("sessionid", "session"),
)
ITEMS: Tiers = (
    ("itemid", "iid", "itemidx", "itemindex", "itemno"),
    ("item",),
    ("parentasin",),
    (*(f"{noun}id" for noun in NOUNS), *CODES, "aid"),
    NOUNS,
    (*(f"{noun}id" for noun in WIDE_NOUNS), *WIDE_NOUNS),
)
LISTS: Tiers = (
    ("items", "itemids", "itemsequence", "itemidlist", "itemlist"),
    ("history", "sequence", "events", "clicks", "clickedhistory"),
    (*(f"{noun}s" for noun in NOUNS), *(f"{noun}ids" for noun in NOUNS)),
)
RATINGS: Tiers = (
    ("rating",),
    (
        "ratings",
        "userrating",
        "bookrating",
        "starrating",
        "myrating",
        "ratingvalue",
        "reviewrating",
        "userscore",
        "reviewoverall",
        "reviewstars",
    ),
    ("stars", "overall"),
    ("score", "reviewscore", "bewertung", "note", "weight"),
)
TIMES: Tiers = tuple(
    (name,)
    for name in (
        *("timestamp", "unixreviewtime", "unixtimestamp", "timestampms", "timems", "unixtime", "epoch", "ts", "datetime"),
        *("eventtime", "eventtimestamp", "utctimestamp", "utctime", "time", "utc", "createdat", "createdtime", "ratedat"),
        *("checkintime", "clicktime", "reviewtime", "reviewdate", "eventdate", "transactiondate", "transactiondt", "tdat"),
        *("purchasedate", "orderdate", "invoicedate", "lastwatchdt", "date", "datum", "fecha", "zeit", "position", "pos"),
    )
)
ENDS = {  # of names with a word before, such as click_article_id, where no other name is known
    "user_id": ("userid", "customerid", "visitorid"),
    "item_id": ("itemid", *(f"{noun}id" for noun in NOUNS)),
    "timestamp": ("timestamp", "datetime"),
}
KNOWN: Mapping[str, Tiers] = {"user_id": USERS, "item_id": ITEMS, "rating": RATINGS, "timestamp": TIMES, "items": LISTS}

TIME_WORDS = {"time", "date", "dt", "ts", "day", "datetime", "timestamp", "created", "updated", "at", "datum", "zeit", "fecha"}
ORDER_WORDS = {"position", "pos", "order", "seq", "sequence", "step"}  # of a number that may be an order
OTHER_TIMES = {"birth", "birthdate", "birthday", "dob", "release", "released", "published", "publication", "expires", "expiry"}
NO_IDS = {  # words of columns that are ids neither of users nor of items
    *("price", "amount", "quantity", "qty", "lat", "latitude", "lon", "lng", "longitude", "category", "genre", "genres", "age"),
    *("gender", "sex", "country", "city", "state", "zip", "event", "behavior", "behaviour", "action", "type", "title", "name"),
    *("text", "review", "comment", "summary", "description", "url", "image", "images", "channel", "count", "total", "dur"),
    *("duration", "pct", "percent", "share", "votes", "helpful", "index", "row", "order", "transaction", "invoice", "basket"),
    *("impression", "impressions", "offset", "language", "status", "verified", "useful", "funny", "cool", "year", "month"),
    *("is", "reordered", "unnamed", "number", "no", "asset", "group", "code", "label", "click", "like", "follow", "tag", "tags"),
}


def plain(name: str) -> str:
    """A name without capitals, blanks, signs, and the type that RecBole's files add.

    >>> plain("user_id:token"), plain("Book-Rating"), plain(" Künstler ")
    ('userid', 'bookrating', 'künstler')
    """
    stem = re.sub(r":(token|float)(_seq)?$", "", name.strip())
    return "".join(letter for letter in stem.lower() if letter.isalnum())


def words(name: str) -> set[str]:
    """The words of a name.

    >>> sorted(words("lastWatch_dt"))
    ['dt', 'last', 'watch']
    """
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+", name)}


def best_named(names: Sequence[str], role: str) -> list[list[str]]:
    """The columns whose names are known for a role, by tiers, the best first; tiers without any are left out.

    >>> best_named(["movieId", "user", "userId", "title"], "user_id")
    [['userId'], ['user']]
    """
    tiers = [[name for name in names if plain(name) in tier] for tier in KNOWN[role]]
    known = [tier for tier in tiers if tier]
    ending = [name for name in names if plain(name).endswith(ENDS.get(role, ("\0",)))]
    return known or ([ending] if ending else [])


def may_be_id(name: str) -> bool:
    """Whether nothing in a name says that the column holds no ids.

    >>> may_be_id("sku"), may_be_id("unit_price")
    (True, False)
    """
    return not words(name) & (NO_IDS | TIME_WORDS)
