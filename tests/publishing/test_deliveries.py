"""The order in which several stores take their deliveries."""

from dataclasses import dataclass

from seqrec.publishing.deliveries import steps


@dataclass(frozen=True)
class Parcel:
    """A delivery that notes what is done with it."""

    store: str
    is_staged: bool
    done: list[str]

    @property
    def address(self) -> str:
        return self.store

    def try_to_write(self) -> None:
        self.done.append(f"{self.store} tried")

    def newest_publication(self) -> str | None:
        return None

    def stage(self, publish_id: str) -> None:
        self.done.append(f"{self.store} staged {publish_id}")

    def switch(self, publish_id: str) -> None:
        self.done.append(f"{self.store} switched {publish_id}")

    def clear(self, publish_id: str) -> None:
        self.done.append(f"{self.store} cleared {publish_id}")


def test_all_are_staged_before_one_is_switched_and_switched_before_one_is_cleared() -> None:
    done: list[str] = []
    parcels = [Parcel("A", True, done), Parcel("B", False, done), Parcel("C", True, done)]
    names = []
    for name, step in steps(parcels):
        names.append(f"{name} p")
        step("p")
    assert done == names
    assert [name.removesuffix(" p") for name in names] == [
        *("A staged", "C staged"),
        *("A switched", "B switched", "C switched"),
        *("A cleared", "B cleared", "C cleared"),
    ]
