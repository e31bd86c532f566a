#!/usr/bin/python3
"""A throw-away Samba domain controller, LDAP only, on a loopback address, for the contract tests.

    /usr/bin/python3 samba_dc.py DIR --ip 127.0.0.66 [--max-seconds 300]

Run with the system's Python, for Samba's bindings are there. It provisions DIR once (about 5 s), puts in the people
of `tests.directory_fixtures.contract_domain`, then becomes the samba process on ports 389 and 636 of that address.
It ends on SIGTERM, after --max-seconds, or when its standard input, given as a pipe, is closed: so it cannot outlive a
killed test run.
"""

import argparse
import logging
import os
import subprocess
import time
from pathlib import Path

import ldb  # type: ignore[import-not-found]
from samba.auth import system_session  # type: ignore[import-not-found]
from samba.param import LoadParm  # type: ignore[import-not-found]
from samba.provision import FILL_FULL, provision  # type: ignore[import-not-found]
from samba.samdb import SamDB  # type: ignore[import-not-found]

REALM, NETBIOS = "CORP.EXAMPLE.TEST", "CORP"
PASSWORD, SEARCH_USER, SEARCH_PASSWORD = "Us3r-Passw0rd!", "svc-usher", "demo-Search1"
STAFF = ("alice", "ivy.svc")
CHANGERS = ("lena.change", "milo.change", "nina.change")
STUDENTS = ("carol", "dave.disabled", "erin.expired", "frank.mustchange", "gina.locked", "hank.acctexp", *CHANGERS)
HALF_HOUR = str(-30 * 60 * 10**7)
SET_PWD_LAST_SET = "local_oid:1.3.6.1.4.1.7165.4.3.20:0"  # Samba's own control: pwdLastSet may be any time


def make_certificates(folder: Path, ip: str) -> None:
    """An authority, and a certificate for the address and the names of the server."""
    folder.mkdir(parents=True, exist_ok=True)

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    itself = ["-x509", "-days", "3650", "-subj", "/CN=Test CA", *usage]
    openssl("req", *key, *itself, "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", *key, "-subj", f"/CN=dc1.{REALM.lower()}", "-keyout", "key.pem", "-out", "dc.csr")
    names = f"subjectAltName=DNS:dc1.{REALM.lower()},DNS:localhost,IP:{ip}"
    (folder / "ext").write_text(f"{names}\nextendedKeyUsage=serverAuth\nbasicConstraints=critical,CA:FALSE\n")
    authority = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
    openssl("x509", "-req", "-in", "dc.csr", *authority, "-days", "3650", "-extfile", "ext", "-out", "cert.pem")
    (folder / "key.pem").chmod(0o600)  # Samba refuses a key that others can read


def provision_domain(folder: Path) -> None:
    """An empty domain. Without sysvol access lists it needs neither root nor extended attributes."""
    base = folder / "base.conf"
    base.write_text("[global]\n")  # else the host's own smb.conf leaks into the domain
    parameters = LoadParm()
    parameters.load(str(base))
    log = logging.getLogger("provision")
    log.setLevel(logging.ERROR)
    provision(
        log, system_session(), targetdir=str(folder / "dc"), realm=REALM, domain=NETBIOS, hostname="dc1",
        hostip="127.0.0.1", lp=parameters, serverrole="active directory domain controller", use_rfc2307=True,
        dns_backend="NONE", adminpass="Adm1n-Passw0rd!", dom_for_fun_level=4, samdb_fill=FILL_FULL, skip_sysvolacl=True,
    )  # fmt: skip


def open_database(folder: Path) -> "SamDB":
    """The domain's database, as its system account."""
    parameters = LoadParm()
    parameters.load(str(folder / "dc/etc/smb.conf"))
    return SamDB(session_info=system_session(), lp=parameters)


def put(db: "SamDB", dn: str, controls: "list[str] | None" = None, **values: str) -> None:
    """Replace attributes of an entry."""
    message = ldb.Message(ldb.Dn(db, dn))
    for name, value in values.items():
        message[name] = ldb.MessageElement(value, ldb.FLAG_MOD_REPLACE, name)
    db.modify(message, controls)


def add_people(db: "SamDB") -> None:
    """People, groups inside groups, and one whose name has everything that must be escaped."""
    for place, accounts in (("Staff", STAFF), ("Students", STUDENTS)):
        db.create_ou(f"OU={place},{db.domain_dn()}")
        for sam in accounts:
            mail, given = f"{sam}@example.test", sam.partition(".")[0].title()
            db.newuser(sam, PASSWORD, userou=f"OU={place}", givenname=given, surname="Test", mailaddress=mail)
    db.newuser(SEARCH_USER, SEARCH_PASSWORD)
    db.newuser("kay", PASSWORD, userou="OU=Staff")
    for group in ("Course-CS101", "Faculty-Science", "All-University"):
        db.newgroup(group, groupou="OU=Staff")
    for group, members in (
        ("Course-CS101", ["carol"]),
        ("Faculty-Science", ["Course-CS101", "kay"]),
        ("All-University", ["Faculty-Science"]),
    ):
        db.add_remove_group_members(group, members)


def add_states(db: "SamDB") -> None:
    """Accounts that may not sign in, and an old one."""

    def dn(sam: str) -> str:
        return str(db.search(expression=f"(sAMAccountName={sam})", attrs=["dn"])[0].dn)

    db.disable_account("(sAMAccountName=dave.disabled)")
    for sam in ("frank.mustchange", "lena.change", "nina.change"):
        db.force_password_change_at_next_login(f"(sAMAccountName={sam})")
    db.setexpiry("(sAMAccountName=hank.acctexp)", -86400)
    hundred_days_ago = str(int((time.time() - 100 * 86400 + 11644473600) * 10**7))
    for sam in ("erin.expired", "milo.change"):
        put(db, dn(sam), [SET_PWD_LAST_SET], pwdLastSet=hundred_days_ago)
    put(db, dn("alice"), whenCreated="20200101000000.0Z")
    new = ldb.Dn(db, f"OU=Staff,{db.domain_dn()}")
    name = ldb.Dn(db, "CN=x")
    name.set_component(0, "CN", 'Kay, "Q" #1 \\ Ünïcode')
    db.rename(dn("kay"), f"{name.get_linearized()},{new.get_linearized()}")


def seed(folder: Path) -> None:
    """Fill the domain; three wrong passwords lock an account."""
    db = open_database(folder)
    put(
        db, db.domain_dn(), lockoutThreshold="3", lockoutDuration=HALF_HOUR, lockOutObservationWindow=HALF_HOUR
    )  # fmt: skip
    db.transaction_start()
    add_people(db)
    db.transaction_commit()
    add_states(db)


def become_samba(folder: Path, ip: str, seconds: int) -> None:
    """Replace this process by the server."""
    (folder / "run").mkdir(exist_ok=True)
    options = {
        "interfaces": f"{ip}/8",
        "bind interfaces only": "yes",
        "server services": "ldap",
        "old password allowed period": "0",  # else a password that was changed still lets in for an hour
        "dcerpc endpoint servers": "",
        "pid directory": folder / "run",
        "ncalrpc dir": folder / "run/ncalrpc",
        "log file": folder / "run/log",
        "tls keyfile": folder / "key.pem",
        "tls certfile": folder / "cert.pem",
        "tls cafile": folder / "ca.pem",
    }
    configuration = f"--configfile={folder / 'dc/etc/smb.conf'}"
    how = ["-i", "-M", "single", "--no-process-group", "-d1", f"--maximum-runtime={seconds}", configuration]
    os.execv("/usr/sbin/samba", ["samba", *how] + [f"--option={name}={value}" for name, value in options.items()])


def main() -> None:
    """Provision once, then serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--ip", default="127.0.0.66")
    parser.add_argument("--max-seconds", type=int, default=300)
    options = parser.parse_args()
    folder = options.folder.resolve()
    if not (folder / "ready").exists():
        make_certificates(folder, options.ip)
        provision_domain(folder)
        seed(folder)
        (folder / "ready").touch()
    become_samba(folder, options.ip, options.max_seconds)


if __name__ == "__main__":
    main()
