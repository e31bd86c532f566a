"""A token that is good at several gateways is used at one of them."""

from django.db import transaction

from broker.core.clock import now
from gateways.closing import mark
from gateways.models import Gateway, Tunnel


@transaction.atomic
def redeemed(gateway: Gateway, token: str, client: str) -> bool:
    """Whether this gateway is the first to which somebody came with the token; the others' openings end then.

    All rows of the token are locked, always in one order, so that one after the other is asked; the unique index
    `a_token_is_redeemed_once` stands behind it.
    """
    rows = list(Tunnel.objects.filter(token_id=token).select_for_update(no_key=True).order_by("pk"))
    mine = next((row for row in rows if row.gateway_id == gateway.pk), None)
    moment = now()
    if mine is None or mine.closed_at or mine.lease_until < moment or any(row.redeemed_at for row in rows):
        return False
    mine.redeemed_at = mine.used_at = moment
    mine.client_ip = client
    mine.save(update_fields=["redeemed_at", "used_at", "client_ip"])
    others = Tunnel.objects.filter(token_id=token, closed_at=None).exclude(pk=mine.pk)
    mark(others, f"The session went through {gateway}.", Tunnel.By.GATEWAY)
    return True
