"""What others may ask of authentication servers: a directory to talk to, and that their people are judged anew."""

from typing import cast

from authservers.directories import DIRECTORIES
from authservers.directories.base import Directory, DirectoryConfig, DirectoryError, Security
from authservers.models import AuthenticationServer, User
from broker.core.db import assert_outside
from broker.core.fields import UnreadableSecret, secret
from broker.core.jobs import URGENT, Wish, enqueue
from broker.core.models import ref


def judge_again(server: AuthenticationServer, cause: str, user: User | None = None) -> None:
    """Whoever has lost something by what was changed loses it at once (RULES 22): a job of the roof. `user`: nobody
    else is concerned."""
    about, key = {"server": server.pk}, f"session_expire:{server.pk}"
    if user is not None:
        about, key = {**about, "user": user.pk}, f"{key}:{user.pk}"
    wish = Wish("session_expire", ref(server), str(server), payload=about, key=key, cause=cause, priority=URGENT)
    enqueue(wish)


def directory(server: AuthenticationServer) -> Directory:
    """The server's directory; each of its calls refuses to run inside a transaction. Raises DirectoryError."""
    return DIRECTORIES[server.kind](config_of(server), guard=assert_outside)


def config_of(server: AuthenticationServer) -> DirectoryConfig:
    """How to reach and search the directory, secrets opened; raises DirectoryError where they do not open."""
    held = server.config
    try:
        search_password = secret(server, "search_password")
    except UnreadableSecret as error:
        raise DirectoryError(str(error)) from error
    return DirectoryConfig(
        hosts=tuple(str(held.get("host", "")).replace(",", " ").split()),
        port=int(held.get("port") or 389),
        security=cast(Security, held.get("security", "plain")),
        ca_pem=str(held.get("ca_pem", "")),
        domain=server.domain,
        base_dn=str(held.get("base_dn", "")),
        netbios=server.netbios,
        search_user=str(held.get("search_user", "")),
        search_password=search_password,
        match_field=str(held.get("match_field", "sAMAccountName")),
        user_filter=str(held.get("user_filter", "")),
        query_groups=bool(held.get("query_groups", True)),
    )
