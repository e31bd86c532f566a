"""botocore clients for one account: which credentials, which time-outs, which retries."""

import re
import threading
import time
from collections.abc import Callable
from typing import Any, Literal

from botocore.config import Config
from botocore.loaders import Loader
from botocore.session import Session

from centers.providers.base import ProviderConfig, ProviderError

CONNECT_TIMEOUT = 3
READ_TIMEOUT = 10
READ_ATTEMPTS = 4
_RENEW_BEFORE = 300.0  # seconds before an assumed role's credentials end
_ROLE_SECONDS = 3600
_KEY = re.compile(r"\w+", re.ASCII)
_MODELS = Loader()  # shared: reading the services' descriptions anew costs each provider 50 ms
Service = Literal["sts", "workspaces"]


class Clients:
    """Makes clients when they are first needed and keeps them; safe to share between threads.

    Raises whatever botocore raises, which the caller translates, and ProviderError for keys that cannot be.
    `guard` runs before the AssumeRole call.
    """

    def __init__(self, config: ProviderConfig, guard: Callable[[], None], read_attempts: int = READ_ATTEMPTS) -> None:
        self._config = config
        self._guard = guard
        self._read_attempts = read_attempts
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._renew_at: float | None = None
        self._kept: dict[tuple[Service, bool], Any] = {}

    def get(self, service: Service, *, write: bool = False) -> Any:
        """The client of `service`; one for reads, one for writes."""
        with self._lock:
            if self._session is None or (self._renew_at is not None and time.monotonic() >= self._renew_at):
                self._kept.clear()
                self._session = self._signed_in()
            key = (service, write)
            if key not in self._kept:
                self._kept[key] = self._client(self._session, service, write)
            return self._kept[key]

    def forget(self) -> None:
        """Sign in anew at the next call: an assumed role's credentials may have been revoked."""
        with self._lock:
            self._session, self._renew_at = None, None
            self._kept.clear()

    def _signed_in(self) -> Session:
        own = self._own_session()
        if self._config.auth != "assume_role":
            return own
        self._guard()
        role = {"RoleArn": self._config.role_arn, "RoleSessionName": "usher", "DurationSeconds": _ROLE_SECONDS}
        if self._config.external_id:
            role["ExternalId"] = self._config.external_id
        given = self._client(own, "sts", write=False).assume_role(**role)["Credentials"]
        self._renew_at = time.monotonic() + _ROLE_SECONDS - _RENEW_BEFORE
        return _session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])

    def _own_session(self) -> Session:
        key, secret = self._config.access_key.strip(), self._config.secret_key.strip()
        if self._config.auth == "default" or (self._config.auth == "assume_role" and not key):
            return _session()
        if not key or not secret:
            raise ProviderError("Enter both the Access Key ID and the Secret Access Key.")
        if not _KEY.fullmatch(key):
            raise ProviderError("An Access Key ID has only letters and digits in it.")
        return _session(key, secret)

    def _client(self, session: Session, service: Service, write: bool) -> Any:
        proxy = self._config.proxy
        settings = Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            # one attempt for writes: their back-off is in the job's row (CONTRACTS 2.6)
            retries={
                "mode": "standard" if write else "adaptive",
                "total_max_attempts": 1 if write else self._read_attempts,
            },
            proxies={"http": proxy, "https": proxy} if proxy else None,
        )
        return session.create_client(service, region_name=self._config.region, config=settings)


def _session(key: str = "", secret: str = "", token: str | None = None) -> Session:
    session = Session()
    session.register_component("data_loader", _MODELS)
    if key:
        session.set_credentials(key, secret, token)
    return session
