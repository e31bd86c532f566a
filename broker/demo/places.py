"""Where the running demo keeps what others must know: the data folder, and what its directories say of themselves."""

import json
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from broker import env
from broker.demo.aws import constants

AWS_IDS = {"CORP": constants.CORP_DIRECTORY, "LAB": constants.LAB_DIRECTORY}


class NoWorld(Exception):
    """The simulated world has not written down what is needed; the text says what to do."""


@dataclass(frozen=True)
class DirectoryFacts:
    """What the form for an authentication server asks about one of the demo's directories."""

    domain: str
    netbios: str
    base_dn: str
    host: str
    port: int
    ldaps_port: int
    ca: str
    search_user: str
    search_password: str

    @property
    def directory_id(self) -> str:
        """Its AWS Directory ID."""
        return AWS_IDS[self.netbios]

    @property
    def ca_pem(self) -> str:
        """The certificate of the authority that signed its LDAPS certificate. Raises OSError."""
        return Path(self.ca).read_text()


def data_folder() -> Path:
    """The demo's folder: DATA of the environment."""
    return Path(settings.BASE_DIR) / env.text("DATA", "var/demo")


def directories(data: Path) -> dict[str, DirectoryFacts]:
    """The directories by NetBIOS name, as their program wrote them down. Raises NoWorld."""
    path = data / "directory" / "directory.json"
    try:
        return {name: DirectoryFacts(**facts) for name, facts in json.loads(path.read_text()).items()}
    except (OSError, ValueError, TypeError) as error:
        raise NoWorld(f"{path} cannot be read: start the simulated world with make demo.") from error
