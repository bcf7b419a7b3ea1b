"""The index of a collection of embeddings in Milvus: its type and parameters, and how it is made."""

from dataclasses import dataclass

from seqrec.errors import UserError
from seqrec.stores.milvus_alias import Client, MilvusAlias, wait_until

METRIC = "IP"


@dataclass(frozen=True, kw_only=True)
class Index:
    """An index of embeddings: its type, metric and parameters, as Milvus names them."""

    kind: str
    params: dict[str, int]
    metric: str = METRIC

    def is_that_of(self, client: Client, name: str) -> bool:
        """Whether a collection has this index, with these parameters and perhaps others."""
        described = client.describe_index(name, "embedding") if client.list_indexes(name) else {}
        described = {**described, **dict(described.get("params") or {})}
        wanted = {"index_type": self.kind, "metric_type": self.metric, **self.params}
        return all(str(described.get(key)) == str(value) for key, value in wanted.items())

    def make(self, client: Client, alias: MilvusAlias, name: str) -> None:
        """Index a collection that has no index yet, and wait until that is done; UserError if it fails."""
        prepared = client.prepare_index_params()
        prepared.add_index("embedding", index_type=self.kind, metric_type=self.metric, params=self.params)
        client.create_index(name, prepared, sync=False)

        def is_made() -> bool:
            """Whether it is finished; UserError if it failed."""
            described = client.describe_index(name, "embedding")
            if described["state"] == "Failed":
                raise UserError(f"{alias}: the index of {name} failed: {described.get('index_state_fail_reason')}")
            return bool(described["state"] == "Finished")

        wait_until(is_made, alias, f"the index of {name}")


def metric_of(client: Client, name: str) -> str:
    """The metric of a collection's index, as Milvus names it."""
    return str(client.describe_index(name, "embedding")["metric_type"])
