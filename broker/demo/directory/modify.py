"""The one modification that this directory takes: a person's change of their own password ([MS-ADTS] 3.1.1.3.1.5)."""

from broker.demo.directory import ber, domain
from broker.demo.directory.ber import BadBer
from broker.demo.directory.domain import Domain
from broker.demo.directory.search import NO_SUCH_OBJECT, SUCCESS, UNWILLING, Refused

ADD, DELETE = 0, 1
CONSTRAINT, NO_ACCESS = 19, 50

Change = tuple[int, str, list[bytes]]
"""Operation, attribute in lower case, values."""


def parse_request(body: bytes) -> tuple[str, list[Change]]:
    """The DN and the changes of a ModifyRequest (RFC 4511 4.6). Raises BadBer."""
    dn, changes = ber.exactly(body, ber.OCTETS, ber.SEQUENCE)
    return ber.text(dn), [_change(tag, change) for tag, change in ber.items(changes)]


def _change(tag: int, body: bytes) -> Change:
    if tag != ber.SEQUENCE:
        raise BadBer("not a change")
    operation, attribute = ber.exactly(body, ber.ENUMERATED, ber.SEQUENCE)
    name, values = ber.exactly(attribute, ber.OCTETS, ber.SET)
    return ber.number(operation), ber.text(name).lower(), [value for _, value in ber.items(values)]


def modify(home: Domain, body: bytes, secure: bool) -> tuple[int, str]:
    """Result code and message. Raises Refused for every other modification, and for one without encryption."""
    dn, changes = parse_request(body)
    if [change[:2] for change in changes] != [(DELETE, "unicodepwd"), (ADD, "unicodepwd")]:
        raise Refused(UNWILLING, "00002035: LdapErr: comment: This directory is read only")
    if not secure:
        raise Refused(UNWILLING, "0000001F: SvcErr: DSID-031A126C, problem 5003 (WILL_NOT_PERFORM), data 0")
    entry = home.get(dn)
    if entry is None:
        raise Refused(NO_SUCH_OBJECT, f"0000208D: NameErr: problem 2001 (NO_OBJECT), best match of: '{home.dn}'")
    code = home.change_password(entry, *(_password(values) for _, _, values in changes))
    if not code:
        return SUCCESS, ""
    if code == domain.NOT_ALLOWED:
        return NO_ACCESS, "00000005: SecErr: DSID-031A11DF, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0"
    return CONSTRAINT, f"{code.upper():>08}: AtrErr: DSID-03191083, #1: problem 1005 (CONSTRAINT_ATT_TYPE), data 0"


def _password(values: list[bytes]) -> str:
    """The text between the quotes. Raises Refused for what is no value of unicodePwd."""
    try:
        text = values[0].decode("utf-16-le") if len(values) == 1 else ""
    except UnicodeDecodeError:
        text = ""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        raise Refused(UNWILLING, "0000001F: SvcErr: problem 5003 (WILL_NOT_PERFORM), data 0")
    return text[1:-1]
