"""The broker's own key, and that a signed call counts once."""

import base64
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.db import IntegrityError, transaction

from broker.core.clock import now
from broker.core.fields import secret, set_secret
from gateways.models import BrokerKey, UsedCall
from gateways.wire import CALL_SECONDS, SKEW, public_text

KEEP_CALLS = timedelta(seconds=CALL_SECONDS + 2 * SKEW)  # an older one is refused for its age


def broker_key() -> Ed25519PrivateKey:
    """The key with which the broker signs; made at the first call. Raises UnreadableSecret."""
    row = BrokerKey.objects.first() or make()
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(secret(row, "private_key")))


def broker_public_key() -> str:
    """Its public half, as gateways ask for it."""
    return (BrokerKey.objects.first() or make()).public_key


def make() -> BrokerKey:
    """Make the key, unless somebody else just did: there is one row, and the first stays."""
    key = Ed25519PrivateKey.generate()
    row = BrokerKey(public_key=public_text(key), created_at=now())
    private = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    set_secret(row, "private_key", base64.b64encode(private).decode())
    BrokerKey.objects.bulk_create([row], ignore_conflicts=True)
    return BrokerKey.objects.get()


def first_use(jti: str) -> bool:
    """Note that a call was heard; False where it was heard before."""
    try:
        with transaction.atomic():
            UsedCall(jti=jti, at=now()).save(force_insert=True)
    except IntegrityError:
        return False
    return True
