"""What was published, and where everything comes from: the versions, their settings, and the packages that made them."""

from collections.abc import Mapping, Sequence
from typing import Any

from seqrec.command.config import flatten
from seqrec.command.installation import program
from seqrec.command.screen import counted
from seqrec.command.story import show_setting
from seqrec.error_messages import hide_secrets
from seqrec.publishing.journal import Entry
from seqrec.reporting.chain_versions import Chain, Version, model_source
from seqrec.reporting.event_counts import iso_time, run_time
from seqrec.reporting.markup import Content, Markup, element, folded, joined, listing, paragraph, table
from seqrec.reporting.sections import absent, origin, parts
from seqrec.storage.run_ids import run_ids

NEWEST = 10  # publications that are listed
JOBS = {
    "dataset": "build_sequences",
    "training": "train",
    "export": "export_onnx",
    "evaluation": "evaluate",
    "lists": "batch_recommend",
}
SETTINGS_OF = {  # the job whose settings a version holds: an export has those of its training
    "dataset": "build_sequences",
    "export": "train",
    "evaluation": "evaluate",
    "lists": "batch_recommend",
}


def publications(chain: Chain) -> Markup:
    """What went into the stores, by the journal in the folder of the lists."""
    if not chain.published:
        return absent(
            "Nothing was published from this folder: users read no lists of it yet.",
            f"{program()} publish puts the lists into MongoDB and the items' vectors into Milvus.",
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
    return parts(paragraph(*said), element("div", *(_publication(entry) for entry in newest), class_="cards"))


def _publication(entry: Entry) -> Markup:
    """A publication as a card."""
    of = f"lists {entry.run_id}" + ("" if entry.whole else ", of a subset of the users")
    users = "" if entry.users is None else f", {counted(entry.users, 'user')}"
    ended = f"ended {iso_time(entry.finished)}{users}" if entry.finished else "did not end"
    lines = [of, *(hide_secrets(store) for store in entry.stores), ended]
    return element("div", element("h3", entry.publish_id), listing(lines), class_="card")


def lineage(chain: Chain) -> Markup:
    """The versions that the page is of."""
    found = {name: version for name in JOBS if (version := getattr(chain, name)) is not None}
    if not found:
        return absent("There is no finished version.")
    said = paragraph(
        "Each version says in its meta.json what it was made from.",
        "A run id begins with the time at which its job started, in UTC.",
    )
    cards = (_version(name, version) for name, version in found.items())
    shown = element("div", *cards, class_="cards")
    return parts(said, shown, _second_stage(found.get("lists")), _packages(found), _settings(found))


def _version(name: str, version: Version) -> Markup:
    """A version and what it was made from, as a card."""
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
    made_from = [f"from {kind} {value}" for kind, value in inputs.items() if value]
    folder = version.path.rpartition("/")[0]
    kept = [] if name == "training" else [f"{counted(len(run_ids(folder)), 'version')} in {folder}"]
    lines: list[Content] = [element("code", run_id), f"by {JOBS[name]}, {run_time(run_id)}", *made_from, *kept]
    return element("div", element("h3", name.capitalize()), listing(lines), class_="card")


def _second_stage(lists: Version | None) -> Markup | None:
    """The ranker of the lists, if one ranked them."""
    second = None if lists is None else lists.meta.get("second_stage")
    if not isinstance(second, dict):
        return None
    of = ", ".join(f"{name} {second[name]}" for name in ("ranker", "candidates", "features") if name in second)
    return paragraph(f"The lists were ranked by {second.get('method')}, from {of}.")


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
    for name, job in SETTINGS_OF.items():
        version = found.get("training", found.get(name)) if name == "export" else found.get(name)
        settings = None if version is None else version.meta.get("settings")
        if version is not None and isinstance(settings, dict) and settings:
            flat = flat_settings(settings)
            inner = parts(settings_table(list(flat.items()), caption=f"Settings of {job}"), origin(version))
            shown.append(folded(f"{job}: {len(flat)} settings, which are also in config.yaml", inner))
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
