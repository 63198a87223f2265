"""A store in an S3 bucket (AWS or any compatible server), through boto3.

S3 shows an object only when its upload is complete, so writes are atomic by nature; a multipart upload that was cut
short stays invisible (let a lifecycle rule of the bucket clear such parts). Contents are verified by the SHA-256 in
the records' manifests, not by optional checksums that older compatible servers refuse.
"""

import hashlib
import io
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import boto3
import botocore.session
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
)
from botocore.loaders import Loader, create_loader
from s3transfer.exceptions import S3DownloadFailedError

from aira_lib.errors import StoreError
from aira_lib.store.base import MANIFEST, Held, Holder, safe_name
from aira_lib.store.files import disk_errors, replacing
from aira_lib.store.s3_errors import CREDENTIAL_ERRORS, NO_CREDENTIALS, code_of, explain, first_line
from aira_lib.store.s3_lease import Tagged, take_object

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

READS = 5  # of an object that is replaced while it is read
PAGE = 1000  # names in one answer to a listing, S3's own maximum

_CONFIG = Config(
    # Attempts stay boto3's own (AWS_MAX_ATTEMPTS); time-outs are for one attempt, in seconds.
    retries={"mode": "standard"},
    connect_timeout=10,
    read_timeout=60,
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)
_TRANSFER = TransferConfig(preferred_transfer_client="classic", max_concurrency=4)


class S3Store:
    """The objects of a bucket below a prefix as a store."""

    def __init__(self, bucket: str, prefix: str = "") -> None:
        self.bucket = bucket
        self.prefix = prefix
        self._client = _connect(self.uri)

    @property
    def uri(self) -> str:
        """Bucket and prefix as an S3 URI."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def shown(self, name: str) -> str:
        """Return the URI of an object."""
        return f"{self.uri}/{safe_name(name)}"

    def read(self, name: str) -> bytes:
        """Return the bytes of an object."""
        buffer = io.BytesIO()
        with self._refusals(name):
            self._download(name, buffer)
        return buffer.getvalue()

    def read_from(self, name: str, offset: int) -> bytes:
        """Return the bytes of an object from an offset on."""
        place: Any = {"Bucket": self.bucket, "Key": self._key(name)}
        with self._refusals(name):
            try:
                return self._client.get_object(**place, Range=f"bytes={offset}-")["Body"].read()
            except ClientError as error:
                if code_of(error) in ("NoSuchKey", "InvalidRange", "416"):
                    return b""
                raise

    def write(self, name: str, data: bytes) -> None:
        """Set the bytes of an object."""
        with self._refusals(name):
            self._client.put_object(Bucket=self.bucket, Key=self._key(name), Body=data)

    def create(self, name: str, data: bytes) -> bool:
        """Set the bytes of an object that is not there; on a server that knows no conditions, in any case."""
        return self.write_if(name, data, None) is not None

    def read_tagged(self, name: str) -> Tagged | None:
        """Return an object with its tag, for `write_if`; None where there is none."""
        with self._refusals(name):
            try:
                found = self._client.get_object(Bucket=self.bucket, Key=self._key(name))
            except ClientError as error:
                if code_of(error) == "NoSuchKey":
                    return None
                raise
            data = found["Body"].read()
        # Both times are the server's, so the clocks of the machines that share a bucket need not agree.
        now = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"])
        return Tagged(data, found["ETag"], (now - found["LastModified"]).total_seconds())

    def write_if(self, name: str, data: bytes, tag: str | None) -> str | None:
        """Set the bytes of an object if it is still the one with this tag, or, without a tag, if there is none.

        A server that knows no conditions writes in any case.

        Returns:
            The new tag; None where the object was another.
        """
        condition: Any = {"IfMatch": tag} if tag else {"IfNoneMatch": "*"}
        place: Any = {"Bucket": self.bucket, "Key": self._key(name)}
        with self._refusals(name):
            try:
                return self._client.put_object(**place, Body=data, **condition)["ETag"]
            except ClientError as error:
                if code_of(error) == "NotImplemented":
                    return self._client.put_object(**place, Body=data)["ETag"]
                if code_of(error) not in ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"):
                    raise
        # boto3 tries again when an answer is lost, and then meets what it wrote itself.
        there = self.read_tagged(name)
        return there.tag if there and there.data == data else None

    def put(self, path: Path, name: str) -> None:
        """Upload a file, in parts when it is large."""
        with disk_errors(path), self._refusals(name):
            self._client.upload_file(str(path), self.bucket, self._key(name), Config=_TRANSFER)

    def get(self, name: str, path: Path) -> None:
        """Download an object to a file."""
        # Not download_file: its temporary files have names that are not recognised as such after a crash.
        with replacing(path) as handle, self._refusals(name):
            self._download(name, handle)

    def _download(self, name: str, handle: IO[bytes]) -> None:
        """Write an object to an empty file. One that is replaced between two of its parts is read again."""
        for _ in range(READS):
            try:
                return self._client.download_fileobj(self.bucket, self._key(name), handle, Config=_TRANSFER)
            except S3DownloadFailedError:
                handle.seek(0)
                handle.truncate()
        raise StoreError(
            f"{self.uri}/{name} was replaced each of the {READS} times it was read; what writes it so often?"
        )

    def list(self, prefix: str = "") -> list[str]:
        """Return all names in a folder, sorted; markers of empty folders are not names."""
        start = self._key(prefix) if prefix else self.prefix
        return sorted(name for name, _ in self._listed(f"{start}/" if start else ""))

    def tags(self, prefix: str = "") -> dict[str, str]:
        """Return the ETag of each object in a folder, or of the one object."""
        return {name: tag for name, (tag, _) in self._found(prefix).items()}

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Return the size of each object in a folder, or of the one object."""
        return {name: size for name, (_, size) in self._found(prefix).items()}

    def _found(self, prefix: str) -> dict[str, tuple[str, int]]:
        """Tag and size of each object in a folder, or of the one object."""
        found = dict(self._listed(self._key(prefix) if prefix else self.prefix))
        return {
            name: what for name, what in found.items() if not prefix or name == prefix or name.startswith(f"{prefix}/")
        }

    def _listed(self, start: str) -> Iterator[tuple[str, tuple[str, int]]]:
        skip = len(self.prefix) + 1 if self.prefix else 0
        with self._refusals(start[skip:].rstrip("/")):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=start, PaginationConfig={"PageSize": PAGE}
            )
            found = [item for page in pages for item in page.get("Contents", [])]
        named = ((item["Key"][skip:], item) for item in found if not item["Key"].endswith("/"))
        return ((name, (item["ETag"], item["Size"])) for name, item in named)

    def exists(self, name: str) -> bool:
        """Say whether an object exists."""
        # Not HEAD: its 404 cannot tell a missing object from a missing bucket. A key sorts before all that it begins.
        key = self._key(name)
        with self._refusals(name):
            found = self._client.list_objects_v2(Bucket=self.bucket, Prefix=key, MaxKeys=1).get("Contents", [])
        return bool(found) and found[0]["Key"] == key

    def remove(self, name: str) -> None:
        """Remove an object or a folder, manifests first: a removal cut short leaves no record that looks finished."""
        inside = self.list(name)
        inside.sort(key=lambda each: not each.endswith(f"/{MANIFEST}"))
        with self._refusals(name):
            for each in (*inside, name):
                self._client.delete_object(Bucket=self.bucket, Key=self._key(each))

    def copy(self, name: str, to: str) -> None:
        """Give the bytes of an object another name, too; they stay on the server."""
        source: Any = {"Bucket": self.bucket, "Key": self._key(name)}
        with self._refusals(name):
            self._client.copy(source, self.bucket, self._key(to), Config=_TRANSFER)

    def local(self, prefix: str, scratch: Path) -> Path:
        """Return the place of a copy, apart from those of other buckets, prefixes and servers."""
        place = f"{self._client.meta.endpoint_url} {self.uri}"
        return scratch / hashlib.sha256(place.encode()).hexdigest()[:16] / safe_name(prefix)

    def take(self, name: str, holder: Holder, seconds: float) -> Held | None:
        """Hold an object alone; see `aira_lib.store.s3_lease`."""
        return take_object(self, name, holder, seconds)

    def holder(self, name: str) -> Holder | None:
        """Return who holds an object."""
        there = self.read_tagged(name)
        return Holder.read(there.data) if there else None

    def age(self, name: str) -> float | None:
        """Return the seconds since an object was written, by the server's clock."""
        there = self.read_tagged(name)
        return there.age if there else None

    def check(self) -> None:
        """Write and remove a probe."""
        name = f"probe-{secrets.token_hex(8)}"
        self.write(name, b"probe")
        self.remove(name)

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{safe_name(name)}" if self.prefix else safe_name(name)

    @contextmanager
    def _refusals(self, name: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError, Boto3Error) as error:
            place = f"{self.uri}/{name}" if name else self.uri
            raise StoreError(f"{place}: {explain(error, self._client.meta.endpoint_url)}") from error


@cache
def _service_data(search_path: str | None) -> Loader:
    return create_loader(search_path)


def _connect(uri: str) -> "S3Client":
    try:
        # A session of its own: the default one keeps the first credentials it met, and is not safe between threads.
        # What boto3 knows of the service, half a second of parsing, is the same for all.
        core = botocore.session.get_session()
        core.register_component("data_loader", _service_data(core.get_config_variable("data_path")))
        return boto3.Session(botocore_session=core).client("s3", config=_CONFIG)
    except CREDENTIAL_ERRORS as error:
        raise StoreError(f"{uri}: {NO_CREDENTIALS}") from error
    except ValueError as error:
        raise StoreError(f"{uri}: AWS_ENDPOINT_URL is not a URL; write it like http://host:9000") from error
    except BotoCoreError as error:
        raise StoreError(f"{uri}: {first_line(error)}; mend the AWS settings") from error
