"""The people of the demo: the company domain, and a small laboratory domain for the walk (CONTRACTS 3)."""

from datetime import timedelta

from broker.demo.directory.domain import Domain, NewUser, Rules, filetime

PASSWORD, SEARCH_USER, SEARCH_PASSWORD = "demo-User1", "svc-usher", "demo-Search1"

STAFF = (
    # account, name, title, department, groups, days since the account was made
    ("alice", "Alice Andersson", "Mechanical Engineer", "Engineering", "Mechanics", 900),
    ("bob", "Bob Baker", "Controller", "Finance", "Controlling", 700),
    ("carol", "Carol Chen", "Interior Designer", "Design", "Contractors", 30),
    ("dmitri", "Dmitri Danilov", "Simulation Engineer", "Engineering", "Mechanics", 620),
    ("elena", "Elena Esposito", "Electronics Engineer", "Engineering", "Electronics", 510),
    ("farid", "Farid Farouk", "Electronics Engineer", "Engineering", "Electronics", 480),
    ("greta", "Greta Gustafsson", "Head of Engineering", "Engineering", "Engineering", 2400),
    ("hiro", "Hiro Hayashi", "CAD Specialist", "Engineering", "Mechanics", 365),
    ("ines", "Inês Inácio", "Accountant", "Finance", "Accounting", 810),
    ("jakub", "Jakub Janowski", "Accountant", "Finance", "Accounting", 300),
    ("kim", "Kim Ki-woo", "Treasurer", "Finance", "Finance", 1500),
    ("leila", "Leila Lahlou", "Auditor", "Finance", "Controlling", 95),
    ("marco", "Marco Moretti", "Animator", "Design", "Contractors", 60),
    ("nadia", "Nadia Novák", "Illustrator", "Design", "Contractors", 45),
    ("oscar", "Oscar O'Brien", "Service Desk", "IT", "Help Desk", 730),
    ("priya", "Priya Patel", "Systems Administrator", "IT", "Usher Admins", 1100),
    ("quentin", "Quentin Quirke", "Service Desk", "IT", "Help Desk", 210),
    ("rosa", "Rosa Romero", "Test Engineer", "Engineering", "Electronics", 5),
    ("samir", "Samir Said", "Intern", "Engineering", "Mechanics", 2),
    ("tuuli", "Tuuli Tamminen", "Intern", "Finance", "Accounting", 1),
    ("uma", "Umaña, Uma", "Legal Counsel", "Legal", "Usher Users", 1300),
    ("victor", "Victor Vega", "Purchasing", "Finance", "Controlling", 420),
    ("wanda", "Wanda Wójcik", "Receptionist", "Office", "", 980),
)
IN_TROUBLE = (
    ("xavier", "Xavier Ximénez", "disabled"),
    ("yusuf", "Yusuf Yıldız", "expired"),
    ("zoe", "Zoë Zeller", "must change"),
    ("liam", "Liam Larsen", "locked"),
    ("olga", "Olga Orlova", "old password"),
)
GROUPS = (
    # group, the groups inside it, members first
    ("Mechanics", ()),
    ("Electronics", ()),
    ("Accounting", ()),
    ("Controlling", ()),
    ("Contractors", ()),
    ("Help Desk", ()),
    ("Usher Admins", ()),
    ("Engineering", ("Mechanics", "Electronics")),
    ("Finance", ("Accounting", "Controlling")),
    ("Usher Users", ("Engineering", "Finance", "Contractors", "Help Desk", "Usher Admins")),
)
LAB = (
    ("alice", "Alice Abernathy", "Chemist", "Chemistry", "Chemistry", 300),
    ("ben", "Ben Brandt", "Laboratory Assistant", "Chemistry", "Chemistry", 12),
    ("clara", "Clara Costa", "Physicist", "Physics", "Physics", 700),
    ("dan", "Dan Doyle", "Physicist", "Physics", "Physics", 90),
    ("eva", "Eva Eklund", "Head of Laboratory", "Management", "Lab Users", 1600),
)
LAB_GROUPS = (("Chemistry", ()), ("Physics", ()), ("Lab Users", ("Chemistry", "Physics")))

Person = tuple[str, str, str, str, str, int]
Group = tuple[str, tuple[str, ...]]


def company(dns: str = "corp.example.test", netbios: str = "CORP") -> Domain:
    """The configured domain of the demo, ten wrong passwords to a lock."""
    domain = Domain(dns, netbios, Rules(lockout_threshold=10, password_days=10_000))
    _fill(domain, STAFF, GROUPS)
    staff = f"OU=Staff,{domain.dn}"
    for sam, name, state in IN_TROUBLE:
        dn = _person(domain, staff, (sam, name, "Purchasing", "Finance", "Controlling", 500))
        _trouble(domain, dn, state)
    return domain


def laboratory(dns: str = "lab.example.test", netbios: str = "LAB") -> Domain:
    """The second domain, left for the walk. It has an alice of its own."""
    domain = Domain(dns, netbios, Rules(lockout_threshold=10, password_days=10_000))
    _fill(domain, LAB, LAB_GROUPS)
    return domain


def _fill(domain: Domain, people: tuple[Person, ...], groups: tuple[Group, ...]) -> None:
    staff, places = domain.add_ou("Staff"), domain.add_ou("Groups")
    service = domain.add_ou("Service Accounts")
    search = {"description": "Reads the directory for the broker", "displayName": "Usher search account"}
    domain.add_user(NewUser(SEARCH_USER, SEARCH_PASSWORD, ou=service, more={**search}))
    for name, inside in groups:
        domain.add_group(name, places, [f"CN={group},{places}" for group in inside])
    for person in people:
        _person(domain, staff, person)


def _person(domain: Domain, staff: str, person: Person) -> str:
    sam, name, title, department, group, days = person
    surname, comma, given = name.partition(", ")
    if not comma:
        given, _, surname = name.partition(" ")
    more = {
        "displayName": name,
        "givenName": given,
        "sn": surname,
        "mail": f"{sam}@{domain.dns}",
        "title": title,
        "department": department,
        "company": "Example Works" if domain.netbios == "CORP" else "Example Laboratory",
    }
    created = domain.clock() - timedelta(days=days)
    dn = domain.add_user(NewUser(sam, PASSWORD, name=name, ou=staff, created=created, more={**more}))
    if group:
        domain.link(f"CN={group},OU=Groups,{domain.dn}", "member", dn)
    return dn


def _trouble(domain: Domain, dn: str, state: str) -> None:
    now = domain.clock()
    if state == "disabled":
        domain.put(dn, "userAccountControl", 0x202)
    elif state == "expired":
        domain.put(dn, "accountExpires", filetime(now - timedelta(days=3)))
    elif state == "must change":
        domain.put(dn, "pwdLastSet", 0)
    elif state == "old password":
        domain.put(dn, "pwdLastSet", filetime(now - timedelta(days=20_000)))
    else:
        domain.lock_out(dn, until=now + timedelta(days=3650))
