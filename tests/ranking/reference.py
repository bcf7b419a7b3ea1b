"""build_features in plain Python, one loop inside another: what the Spark job is compared with."""

from typing import Any

from tests.dataset.reference import Rating


def order(rating: Rating) -> tuple[Any, ...]:
    """Of a user's ratings."""
    return rating.timestamp, rating.tie, rating.item, rating.rating


def splits_of(ratings: set[Rating], *, min_rating: float) -> dict[Rating, str | None]:
    """The split of each rating where the last two at or above the minimum are held out; None for one that is left out."""
    splits: dict[Rating, str | None] = {}
    for user in {rating.user for rating in ratings}:
        theirs = sorted((rating for rating in ratings if rating.user == user), key=order)
        events = [rating for rating in theirs if rating.rating >= min_rating]
        if len(events) <= 2:
            splits |= dict.fromkeys(theirs, "train")
            continue
        valid, test = (theirs.index(event) for event in events[-2:])
        for number, rating in enumerate(theirs):
            splits[rating] = "train" if number < valid else "valid" if number < test else "test" if number == test else None
    return splits


def averages(of: str, ratings: list[Rating], threshold: float) -> dict[str, Any]:
    """Count, mean rating and share above the threshold."""
    number = len(ratings)
    return {
        f"{of}_count": number,
        f"{of}_mean_rating": sum(rating.rating for rating in ratings) / number if number else None,
        f"{of}_positive_share": sum(rating.rating > threshold for rating in ratings) / number if number else None,
    }


def of_user(earlier: list[Rating], genres: dict[str, list[str]], names: list[str], last: int, threshold: float) -> dict[str, Any]:
    """The features of a user with these ratings."""
    items = [rating.item for rating in sorted(earlier, key=order)]
    listed = [genres.get(item) or [] for item in items]
    return {
        "recent_items": items[-last:],
        "last_item": items[-1] if items else None,
        "last_genre": listed[-1][0] if items and listed[-1] else None,
        "user_genre_shares": [sum(name in one for one in listed) / len(items) if items else 0.0 for name in names],
        **averages("user", earlier, threshold),
    }


def features(
    ratings: set[Rating],
    splits: dict[Rating, str | None],
    genres: dict[str, list[str]],
    names: list[str],
    *,
    last: int,
    threshold: float,
) -> dict[Rating, dict[str, Any]]:
    """What is known of each rating's user and item as of the rating."""
    known = {}
    for rating in ratings:
        mine = [other for other in ratings if other.user == rating.user and other.timestamp < rating.timestamp]
        trained = [other for other in ratings if splits[other] == "train" and other.timestamp < rating.timestamp]
        same = [other for other in trained if other.item == rating.item]
        known[rating] = {**of_user(mine, genres, names, last, threshold), **averages("item", same, threshold)}
    return known
