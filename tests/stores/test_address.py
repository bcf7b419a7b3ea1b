import pytest
from pydantic import SecretStr

from seqrec.command.config import Stores
from seqrec.errors import UserError
from seqrec.stores.address import check_address, masked, scrubbed
from seqrec.stores.open_stores import Addresses


@pytest.mark.parametrize("uri", ["embedded", "none", "mongodb://h:1", "mongodb+srv://u:p@h/?tls=true", "mongodb://a:1,b:2/?x=y"])
def test_addresses_of_mongodb(uri: str) -> None:
    assert check_address(uri, "MONGODB_URI") == uri


@pytest.mark.parametrize(
    ("uri", "variable"),
    [
        ("http://u:s3cret@h:1", "MONGODB_URI"),
        ("mongodb://", "MONGODB_URI"),
        ("s3cret", "MILVUS_URI"),
        ("http://u:s3cret@h:port", "MILVUS_URI"),
        ("http://h:99999", "MILVUS_URI"),
        ("s3cret@h:19530", "MILVUS_URI"),
    ],
)
def test_what_is_no_address_is_refused_and_not_repeated(uri: str, variable: str) -> None:
    with pytest.raises(UserError, match=f"{variable}: .* is no address; set it to .*, embedded or none") as caught:
        check_address(uri, variable)
    assert "s3cret" not in str(caught.value)


def test_addresses_show_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongodb://ann:s3cret@h")
    monkeypatch.setenv("MILVUS_TOKEN", "s3cret")
    addresses = Addresses.from_environment("MONGODB_URI")
    assert (addresses.mongodb, addresses.milvus, addresses.milvus_token) == ("mongodb://ann:s3cret@h", "none", "s3cret")
    settings = Stores(mongodb_uri=SecretStr("none"), milvus_uri=SecretStr("http://h"), milvus_token=SecretStr("s3cret"))
    assert Addresses.from_settings(settings) == Addresses(milvus="http://h", milvus_token="s3cret")
    assert repr(addresses) == "Addresses()"


def test_secrets_are_masked() -> None:
    assert masked("mongodb+srv://ann:p@ss@h/db?authSource=admin") == "mongodb+srv://***@h/db"
    assert scrubbed("token abc refused by https://ann:x@h", "abc") == "token *** refused by https://***@h"
