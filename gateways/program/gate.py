"""Who may use a viewer session: the one place where a connection token is judged and spent."""

import logging
from collections.abc import Awaitable, Callable

from gateways.program.ports.limits import Bucket
from gateways.program.registry import Clock, Refusal, Registry
from gateways.program.sessions import Session
from gateways.program.state import State
from gateways.wire import Grant, Protocol, Untrusted, destination, read_token

log = logging.getLogger(__name__)
PACE, BURST = 10.0, 100.0  # refusals of strangers, who bring no token of ours, in a second; more are only counted
UNKNOWN = "The gateway does not know this session: it may have been started anew meanwhile."
Redeem = Callable[[str, str], Awaitable[bool]]  # session id, client's address: is it the first one, says the broker


class Refused(Exception):
    """Not let in. The words are for the person at the browser; `code` is for the page."""

    def __init__(self, words: str, code: str) -> None:
        super().__init__(words)
        self.code = code


class Gate:
    """Lets in whoever brings a token that holds here, now, for the first time. Everybody else is logged and told of."""

    def __init__(self, state: State, registry: Registry, redeem: Redeem, clock: Clock) -> None:
        self.state, self.registry, self.redeem, self.clock = state, registry, redeem, clock
        self._strangers = Bucket(BURST, clock())

    async def admit(self, token: str, protocol: Protocol, *, origin: str, client_ip: str) -> Session:
        """The session that the token opens, used from now on. `origin` is the request's header. Raises Refused."""
        session_id = ""
        try:
            grant = self._read(token)
            session_id = grant.id
            session = self._session(grant, protocol)
            judge(session, grant, origin, client_ip)
            session.use(client_ip, self.clock())  # before anything is awaited: the second one comes too late
            await self._redeemed(session)
        except Refused as error:
            self._tell(error, client_ip, session_id)
            raise
        log.info("session.used", extra={"session": session.id, "protocol": protocol, "client": client_ip})
        return session

    def _read(self, token: str) -> Grant:
        if self.state.broker_key is None:
            raise Refused("This gateway has not found its broker yet.", "no_broker")
        try:
            return read_token(token, self.state.broker_key, self.state.uid, at=self.clock())
        except Untrusted as error:
            raise Refused(f"The connection token does not hold: {error}.", "bad_token") from None

    def _session(self, grant: Grant, protocol: Protocol) -> Session:
        if self.registry.draining:
            raise Refused("This gateway is being shut down. Connect again: another one will take you.", "draining")
        if past := self.registry.past(grant.id):
            raise Refused(f"The session has ended: {past.reason}", "ended")
        session = self.registry.get(grant.id)
        if session is None:
            raise Refused(UNKNOWN, "unknown")
        if grant.protocol != protocol or session.opening.protocol != protocol:
            raise Refused("The connection token is for another kind of session.", "wrong_protocol")
        return session

    async def _redeemed(self, session: Session) -> None:
        if session.opening.redeem and not await self.redeem(session.id, session.client_ip):
            words = "The session was opened at another gateway, or the broker no longer allows it."
            session.close(words, "broker", self.clock())
        if session.closed_at:  # also: the broker ended it while it was asked
            raise Refused(session.reason, "ended")

    def _tell(self, error: Refused, client_ip: str, session_id: str) -> None:
        at = self.clock()
        if not session_id and not self._strangers.take(PACE, BURST, at):
            self.registry.totals.refused += 1
            return
        extra = {"session": session_id, "code": error.code, "client": client_ip}
        log.warning("session.refused", extra={**extra, "why": str(error)})
        self.registry.refuse(Refusal(at, str(error), client_ip, session_id, error.code))


def judge(session: Session, grant: Grant, origin: str, client_ip: str) -> None:
    """Whether this token, from there, may use the session. Raises Refused."""
    opening = session.opening
    if session.used_at:
        raise Refused("The connection token was used before.", "used")
    if grant.destination != destination(opening.host, opening.port) or grant.user != opening.user:
        raise Refused("The connection token is for another desktop.", "wrong_desktop")
    if origin != opening.origin:
        raise Refused("The page that asks is not the one that was told to.", "wrong_origin")
    if opening.client_ip and same_family(client_ip, opening.client_ip) and client_ip != opening.client_ip:
        raise Refused("The session was opened for another address.", "wrong_address")


def same_family(one: str, other: str) -> bool:
    """Whether both are IPv4 or both IPv6: a browser with both may take either way for its WebSocket."""
    return (":" in one) == (":" in other)
