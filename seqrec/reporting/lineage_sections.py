"""What was published, and where everything comes from: the versions, their settings, and the packages that made them."""

from collections.abc import Mapping, Sequence
from typing import Any

from seqrec.command.config import flatten
from seqrec.command.story import show_setting
from seqrec.error_messages import hide_secrets
from seqrec.publishing.journal import Entry
from seqrec.reporting.chain_versions import Chain, Version, model_source
from seqrec.reporting.event_counts import iso_time, run_time
from seqrec.reporting.markup import Content, Markup, element, folded, joined, paragraph, table
from seqrec.reporting.sections import absent, origin, parts
from seqrec.storage import files
from seqrec.storage.run_ids import CURRENT, run_ids

NEWEST = 10  # publications that are listed
JOBS = {
    "dataset": "build_sequences",
    "training": "train",
    "export": "export_onnx",
    "evaluation": "evaluate",
    "lists": "batch_recommend",
}


def publications(chain: Chain) -> Markup:
    """What went into the stores, by the journal in the folder of the lists."""
    if not chain.published:
        return absent(
            "Nothing was published from this folder: users read no lists of it yet.",
            "./spark-submit.sh publish puts the lists into MongoDB and the items' vectors into Milvus.",
        )
    newest = list(reversed(chain.published))[:NEWEST]
    last = newest[0]
    said = [f"The last publication, {last.publish_id}, is of lists {last.run_id}."]
    if last.finished is None:
        said.append(
            f"It did not end: its finished steps are {', '.join(last.steps) or 'none'}; the same command goes on with it."
        )
    if chain.lists is not None and chain.lists.run_id != last.run_id:
        said.append(f"The newest lists are {chain.lists.run_id}, so users read other lists than this page shows.")
    rows = [_publication(entry) for entry in newest]
    header = ["publication", "lists", "stores", "ended", "users"]
    return parts(paragraph(*said), table(header, rows, caption="The newest publications, the last one first", left=4))


def _publication(entry: Entry) -> list[Content]:
    """A publication as a row of the table."""
    kind = "" if entry.whole else " (a subset of the users)"
    stores = (
        joined([hide_secrets(store) for store in entry.stores], "")
        if len(entry.stores) == 1
        else joined((element("div", hide_secrets(store)) for store in entry.stores), "")
    )
    users = "–" if entry.users is None else f"{entry.users:,}"
    ended = iso_time(entry.finished) if entry.finished else "not ended"
    return [_whole(entry.publish_id), joined([_whole(entry.run_id), kind], ""), stores, _whole(ended), users]


def _whole(text: str) -> Markup:
    """A text that isn't broken into lines."""
    return element("span", text, class_="nowrap")


def lineage(chain: Chain) -> Markup:
    """The versions that the page is of."""
    found = {name: version for name in JOBS if (version := getattr(chain, name)) is not None}
    if not found:
        return absent("There is no finished version.")
    said = paragraph(
        "Each version says in its meta.json what it was made from.",
        "A run id begins with the time at which its job started, in UTC.",
    )
    rows = [_version_row(name, version) for name, version in found.items()]
    shown = table(["version", "run id", "job", "made at", "made from"], rows, caption="The versions of this page", left=5)
    return parts(said, shown, _second_stage(found.get("lists")), _versions_kept(chain), _packages(found), _settings(found))


def _version_row(name: str, version: Version) -> list[Content]:
    """A version and what it was made from."""
    run_id = str(version.meta.get("run_id", "?")) if name == "training" else version.run_id
    inputs = {
        "dataset": version.meta.get("dataset"),
        "training": version.meta.get("run_id" if name == "export" else "model_run_id"),
        "export": version.meta.get("export") if name == "lists" else None,
        "ratings": (version.meta.get("inputs") or {}).get("ratings") if isinstance(version.meta.get("inputs"), dict) else None,
    }
    if name == "evaluation":
        source = model_source(version)
        inputs |= {"training": source.get("model_run_id"), "export": source.get("export")}
    made_from = joined((element("div", f"{kind} {value}") for kind, value in inputs.items() if value), "")
    return [name, element("code", run_id), JOBS[name], run_time(run_id), made_from]


def _second_stage(lists: Version | None) -> Markup | None:
    """The ranker of the lists, if one ranked them."""
    second = None if lists is None else lists.meta.get("second_stage")
    if not isinstance(second, dict):
        return None
    of = ", ".join(f"{name} {second[name]}" for name in ("ranker", "candidates", "features") if name in second)
    return paragraph(f"The lists were ranked by {second.get('method')}, from {of}.")


def _versions_kept(chain: Chain) -> Markup:
    """How many versions of each folder there are."""
    folders = {
        "dataset": chain.folders.data,
        "export": chain.folders.exports,
        "evaluation": chain.folders.evaluation,
        "lists": chain.folders.lists,
    }
    rows: list[list[Content]] = []
    for name, folder in folders.items():
        there = run_ids(folder)
        if there:
            rows.append([name, element("code", files.join(folder, CURRENT)), there[0], f"{len(there)}"])
    return table(
        ["folder", "which version is current stands in", "oldest version", "versions"],
        rows,
        caption="Versions that are kept",
        left=3,
    )


def _packages(found: Mapping[str, Version]) -> Markup | None:
    """The packages by which each version was made."""
    made_by: dict[str, Mapping[str, str]] = {name: version.meta.get("versions") or {} for name, version in found.items()}
    packages = list(dict.fromkeys(package for versions in made_by.values() for package in versions))
    if not packages:
        return None
    rows = [[package, *(versions.get(package, "–") for versions in made_by.values())] for package in packages]
    return table(["package", *made_by], rows, caption="Versions of the packages that made each version")


def _settings(found: Mapping[str, Version]) -> Markup:
    """All settings of each job, folded."""
    shown = [element("h3", "Settings")]
    for name, version in found.items():
        settings = version.meta.get("settings")
        if isinstance(settings, dict) and settings:
            flat = flat_settings(settings)
            inner = parts(settings_table(list(flat.items()), caption=f"Settings of {JOBS[name]}"), origin(version))
            shown.append(folded(f"{JOBS[name]}: {len(flat)} settings, which are also in config.yaml", inner))
    return joined(shown)


def flat_settings(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings by dotted key, as an override would be written; secrets are hidden.

    >>> flat_settings({"seed": 1, "loss": {"name": "ce"}})
    {'seed': '1', 'loss.name': 'ce'}
    """
    flat = flatten({key: value for key, value in settings.items() if key != "stores"})
    return {key: hide_secrets(show_setting(value)) for key, value in flat.items()}


def settings_table(rows: Sequence[tuple[str, str]], *, caption: str) -> Markup:
    """Keys and values."""
    return table(["key", "value"], [[element("code", key), value] for key, value in rows], caption=caption, left=2)
