"""What the counts of a dataset warn of or refuse: nobody held out, nothing or little to train on, targets that repeat."""

import logging

from seqrec.dataset.counts import EventCounts
from seqrec.dataset.splits import SplitChoice
from seqrec.dataset.vocabulary import TrainedVocabulary
from seqrec.errors import UserError

log = logging.getLogger("seqrec")

MANY_REPEATS = 0.05  # a share of targets that is worth a warning
LEAST_USERS, LEAST_ITEMS, LEAST_OF_USER, LEAST_OF_ITEM = 1000, 100, 5, 10  # rules of thumb: with less, few models beat popularity


def check_counts(counts: EventCounts, vocabulary: TrainedVocabulary, choice: SplitChoice) -> None:
    """Raise UserError if there is nothing to train on; warn of what makes a dataset worth little."""
    guard_windows(counts, task=choice.task)
    warn_held_out(counts, choice)
    warn_repeats(counts)
    warn_thin(counts, vocabulary, task=choice.task)


def warn_repeats(counts: EventCounts) -> None:
    """Warn where many targets are the last item of their input, and name the key that leaves such events out."""
    targets, repeated = counts.targets_valid + counts.targets_test, counts.repeated_valid + counts.repeated_test
    if repeated > MANY_REPEATS * targets:
        log.warning(
            "%.1f %% of the held-out items, and %.1f %% of the events to train on, repeat the item right before (seen again, or "
            "rated twice): if that isn't to be predicted, set drop_consecutive_duplicates=true, which keeps the first of them",
            100 * repeated / targets,
            100 * counts.repeated_train / max(counts.train, 1),
        )


def warn_thin(counts: EventCounts, vocabulary: TrainedVocabulary, *, task: str) -> None:
    """Warn where there is too little to learn from, and say what is thin: such data hardly lets a model beat popularity."""
    users, items, train = counts.users_train, vocabulary.trained, counts.train
    numbers = {
        "users": (users, LEAST_USERS),
        "items": (items, LEAST_ITEMS),
        "events a user": (train / max(users, 1), LEAST_OF_USER),
        "events an item": (train / max(items, 1), LEAST_OF_ITEM),
    }
    thin = [f"{number:,.4g} {name} (less than {least:,})" for name, (number, least) in numbers.items() if number < least]
    if thin and task != "test":
        log.warning(
            "there is little to learn from: %s to train on; popularity will be hard to beat, so compare with it "
            "(evaluate popularity=true markov=true)",
            ", ".join(thin),
        )


def warn_held_out(counts: EventCounts, choice: SplitChoice) -> None:
    """Warn where the task asks for valid or test but nobody is held out for it, and name the key that helps."""
    users = {"valid": counts.users_valid, "test": counts.users_test}
    empty = [name for name, events in choice.held.items() if events and not users[name]]
    if not empty:
        return
    if choice.times is not None:
        reason = f"no user with events before {choice.times[0]} has one in its time", "choose other split_times"
    elif choice.share is not None:
        reason = (
            f"split_users={choice.share:g} of {counts.users_events:,} users chose none with enough events",
            "raise split_users",
        )
    else:
        least, lower = sum(choice.held.values()) + 1, "lower hold_out, " if choice.hold_out > 1 else ""
        reason = f"no user has {least} events", f"{lower}choose another task, or lower min_rating and k_core"
    log.warning("nobody is held out for %s: %s; to hold users out, %s", " and ".join(empty), *reason)


def guard_windows(counts: EventCounts, *, task: str) -> None:
    """Raise UserError if there is nothing to train on; the task test needs nothing."""
    if not counts.windows and task != "test":
        raise UserError(
            f"no user has 2 training events ({counts.events} events of {counts.users_events} users, "
            f"{counts.train} of them to train on): hold out less (hold_out, task, split_times), or lower min_rating and k_core"
        )
