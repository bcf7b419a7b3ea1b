"""Find by the first rows of a file of ratings what the configuration (input.*) doesn't say of it."""

from dataclasses import asdict, dataclass, replace

from seqrec.dataset.head import Head, read_head, settle_table
from seqrec.dataset.roles import columns_by_name, names_by_value
from seqrec.errors import UserError
from seqrec.tables.input_table import AUTO, InputTable, RatingColumns, WantedTable

ROLES = ["user_id", "item_id", "rating", "timestamp"]
REMEDY = (
    "say which column is which: input.columns.user_id, .item_id, .rating and .timestamp (null where there is none), "
    "input.names=[…] where a CSV has no header"
)


@dataclass(frozen=True, kw_only=True)
class DetectedInput:
    """A table of ratings as it is read: how its file is written, its columns, and what it is taken for and why, in words."""

    table: InputTable
    columns: RatingColumns
    words: list[str]


def detect(wanted: WantedTable, wanted_columns: RatingColumns) -> DetectedInput:
    """Find what the configuration doesn't say of a table of ratings; what it says is obeyed.

    Raises UserError for a file that isn't here or is empty, and for one whose columns can't be told apart; it says what to set.
    """
    if wanted.is_settled and AUTO not in asdict(wanted_columns).values():
        return DetectedInput(table=settle_table(wanted), columns=wanted_columns, words=[])
    head = read_head(wanted)
    path, table, names = wanted.path, head.table, head.names
    words = [f"{path}: format {table.format!r}, delimiter {table.delimiter!r}, header {table.header}"]
    if names is None:
        names = _name_columns(head, path)
        words.append(f"no header; by position and values the columns are {', '.join(names)}")
        table = replace(table, names=names)
    columns = _settle_columns(wanted_columns, columns_by_name(names, lists=head.lists))
    roles = ("user_id", "items") if columns.items else ROLES
    missing = [role for role in roles if getattr(columns, role) == AUTO]
    if missing:
        raise UserError(
            f"{path} has the columns {', '.join(names) or 'none'}, none of a name known for {' or '.join(missing)}: {REMEDY}"
        )
    words += [_say(role, getattr(columns, role)) for role in roles]
    return DetectedInput(table=table, columns=columns, words=words)


def _settle_columns(wanted: RatingColumns, by_name: dict[str, str | None]) -> RatingColumns:
    """The columns by their roles. Without a wanted column of items, a column of lists counts where there is no wanted item_id.

    A column of an id that isn't found stays AUTO.
    """
    found = {role: by_name[role] if getattr(wanted, role) == AUTO else getattr(wanted, role) for role in (*ROLES, "items")}
    if wanted.item_id != AUTO and wanted.items == AUTO:
        found["items"] = None
    return RatingColumns(
        user_id=found["user_id"] or AUTO,
        item_id=found["item_id"] or ("item_id" if found["items"] else AUTO),
        rating=found["rating"],
        timestamp=found["timestamp"],
        order=wanted.order,
        items=found["items"],
    )


def _name_columns(head: Head, path: str) -> list[str]:
    """Names for the columns of a file without header, by their values."""
    try:
        return names_by_value(head.rows)
    except UserError as error:
        raise UserError(f"{path} has no header, and {error}; its first line is {str(head.rows[0])[:100]}: {REMEDY}") from None


def _say(role: str, column: str | None) -> str:
    """Which column has a role, in words."""
    if column is not None:
        return f"{role} is the column {column}"
    return {"rating": "no rating: every event counts", "timestamp": "no time: the order of the lines counts"}[role]
