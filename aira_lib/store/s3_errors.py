"""What S3 and the way to it refuse, each in one line with a remedy."""

from urllib.parse import urlsplit

from boto3.exceptions import Boto3Error
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as NoConnectionError

NO_CREDENTIALS = "no usable credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
_REFUSED = "the credentials are refused; renew AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
_DENIED = "access denied; allow these credentials s3:ListBucket, GetObject, PutObject and DeleteObject there"
_FULL = "the bucket is full or over its quota; free some space, or name another store"
_REMEDIES = {
    "NoSuchBucket": "no such bucket; create it, or mend the store's URI",
    "InvalidBucketName": "not a valid bucket name; mend the store's URI",
    "NoSuchKey": "no such object; was the record removed or moved?",
    "404": "no such object (or bucket); was the record removed or moved?",
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "403": _DENIED,
    "InvalidAccessKeyId": _REFUSED,
    "SignatureDoesNotMatch": _REFUSED,
    "ExpiredToken": _REFUSED,
    "InvalidToken": _REFUSED,
    "QuotaExceeded": _FULL,
    "InsufficientStorage": _FULL,
    "XMinioStorageFull": _FULL,
    "PermanentRedirect": "the bucket is in another region; set AWS_REGION or AWS_ENDPOINT_URL to it",
    "SlowDown": "the server asks to slow down; run the same command later, finished work is kept",
    "503": "the server is busy or down; run the same command later, finished work is kept",
}
CREDENTIAL_ERRORS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)


def explain(error: Exception, endpoint: str) -> str:
    """Say in one line what an S3 error means and how to mend it; secrets and signed URLs never appear in it."""
    if isinstance(error, Boto3Error) and isinstance(cause := error.__cause__ or error.__context__, Exception):
        return explain(cause, endpoint)  # boto3's transfers wrap the error that says what happened
    if isinstance(error, CREDENTIAL_ERRORS):
        return NO_CREDENTIALS
    if isinstance(error, ParamValidationError):
        return _REMEDIES["InvalidBucketName"]
    if isinstance(error, (HTTPClientError, NoConnectionError)):
        return f"the endpoint {_without_login(endpoint)} cannot be reached; check the network and AWS_ENDPOINT_URL"
    if isinstance(error, ClientError):
        code = code_of(error)
        if code in _REMEDIES:
            return _REMEDIES[code]
        return f"refused with {code} ({first_line(error)}); check the bucket and AWS_ENDPOINT_URL"
    return f"{type(error).__name__}; check the network and AWS_ENDPOINT_URL"


def code_of(error: ClientError) -> str:
    """S3's own name of an error."""
    return error.response.get("Error", {}).get("Code", "unknown")


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def first_line(error: Exception) -> str:
    """What an error says, in a line without a full stop."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
