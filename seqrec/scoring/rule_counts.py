"""What is said of finished lists under rules: those that are short, and quotas that are not met."""

import logging
from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from seqrec.reranking.rules import Quota, Rules
from seqrec.serving.list_rules import ListRules

log = logging.getLogger("seqrec")


def count_under_rules(lists: DataFrame, opened: ListRules, counts: Mapping[str, int], *, full: int) -> dict[str, int]:
    """Act: users short of each quota; `counts` have the users, and how many lists are short of a full one.

    The log says what isn't as the rules want it, in a warning if other rules could help.
    """
    users, short = counts["users"], counts["short"]
    if short:
        reason, remedy = short_words(opened.rules)
        level = logging.WARNING if remedy else logging.INFO
        log.log(level, "%s of %s lists have fewer than %d items: %s", f"{short:,}", f"{users:,}", full, reason + remedy)
    missed: dict[str, int] = {}
    for quota, met in zip(opened.rules.quotas, _met(lists, opened), strict=True):
        missed[f"short_of_{quota.name}"] = users - met
        if users > met:
            log.warning(
                "%s of %s lists have fewer than %d items of quota %s: their users' pools hold no more, or the cap leaves none",
                f"{users - met:,}",
                f"{users:,}",
                quota.least,
                quota.name,
            )
    return missed


def short_words(rules: Rules) -> tuple[str, str]:
    """Why lists under rules may be short, and what makes them longer, "" for nothing: of the rules, a cap alone ends a list."""
    candidates = "their users have no more candidates" if not rules.fill else "their users have had the others"
    reason = f"the caps leave no more, or {candidates}" if rules.caps else candidates
    of_caps = ["fewer rerank.places", "a greater rerank.pool"] if rules.caps else []
    remedies = of_caps if rules.fill else ["rerank.fill=popular", *of_caps]
    return reason, f": set {', or '.join(remedies)}" if remedies else ""


def _met(lists: DataFrame, opened: ListRules) -> list[int]:
    """Act: how many lists meet each quota within the places that rules hold in."""
    places = opened.rules.places or F.size("items")
    listed = lists.select("user_id", F.explode(F.slice("items", 1, places)["item_id"]).alias("item_id"))
    return [_count_met(listed, opened, number, quota) for number, quota in enumerate(opened.rules.quotas)]


def _count_met(listed: DataFrame, opened: ListRules, number: int, quota: Quota) -> int:
    """Act: how many users have at least as many items (user_id, item_id) that count as a quota wants."""
    counting = listed.sparkSession.createDataFrame(opened.counting(number))
    return listed.join(F.broadcast(counting), "item_id").groupBy("user_id").count().where(F.col("count") >= quota.least).count()
