"""A token that is good at several gateways is used at one of them."""

from django.db import IntegrityError, transaction

from broker.core.clock import now
from gateways.closing import ask_to_tell, mark
from gateways.models import Gateway, Tunnel


@transaction.atomic
def redeemed(gateway: Gateway, token: str, client: str) -> bool:
    """Whether this gateway is the first to which somebody came with the token.

    One statement and one unique index decide; the other gateways' openings end.
    """
    moment = now()
    mine = Tunnel.objects.filter(gateway=gateway, token_id=token, closed_at=None, redeemed_at=None)
    try:
        with transaction.atomic():
            won = mine.filter(lease_until__gte=moment).update(redeemed_at=moment, used_at=moment, client_ip=client)
    except IntegrityError:  # a_token_is_redeemed_once
        return False
    if won:
        others = Tunnel.objects.filter(token_id=token, closed_at=None).exclude(gateway=gateway)
        ask_to_tell(row.gateway_id for row in mark(others, f"The session went through {gateway}.", Tunnel.By.GATEWAY))
    return bool(won)
