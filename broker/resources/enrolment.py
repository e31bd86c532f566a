"""Agent enrolment: the strings that images are baked with (RULES 4). Above agents and centers, so it stands here."""

from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path
from django.views.decorators.http import require_POST

from agents.keys import enrolment_string, key_hash, new_key
from agents.models import EnrolmentToken
from broker.core import audit
from broker.core.clock import now
from broker.core.pages import SeeOther, needs
from centers.models import Center
from centers.pages import CenterPages

LASTS = {"1": "1 day", "30": "30 days", "365": "1 year"}  # what may be chosen beside "until it is revoked"
NOTE_LENGTH = 200
LINUX = """\
install -D -m 755 usher-agent.pyz /opt/usher-agent/usher-agent.pyz
ln -sf /opt/usher-agent/usher-agent.pyz /usr/local/bin/usher-agent
install -m 600 /dev/null /etc/usher-agent.conf
cat > /etc/usher-agent.conf <<'END'
broker = {broker}
token = {token}
END
install -m 644 usher-agent.service /etc/systemd/system/
systemctl daemon-reload && systemctl enable --now usher-agent
usher-agent test"""
WINDOWS = "usher-agent-setup.exe /S --broker {broker} --token {token}"
COMMANDS = {"linux": LINUX, "windows": WINDOWS}


def ca_sha256() -> str:
    """SHA-256 of the certificate that agents shall know the broker by; "" where none is configured (RULES 4)."""
    path = Path(settings.AGENT_CA)
    if not settings.AGENT_CA or not path.is_file():
        return ""
    return x509.load_pem_x509_certificate(path.read_bytes()).fingerprint(hashes.SHA256()).hex()


def how_to(token: str) -> dict[str, str]:
    """The commands that install an agent, by system (docs/agent-linux.md, docs/agent-windows.md)."""
    return {name: steps.format(broker=settings.AGENT_URL, token=token) for name, steps in COMMANDS.items()}


@transaction.atomic
def issue(center: Center, made_by: str = "", days: int | None = None, note: str = "") -> str:
    """A new token, valid for so many days or until it is revoked; returns its string, which is stored nowhere."""
    token, moment = new_key(), now()
    EnrolmentToken.objects.create(
        center=center,
        digest=key_hash(token),
        hint=token[:6],
        created_at=moment,
        created_by=made_by[:200],
        note=note[:NOTE_LENGTH],
        expires_at=moment + timedelta(days=days) if days else None,
    )
    until = f", valid for {days} days" if days else ""
    about = f" for “{note[:NOTE_LENGTH]}”" if note else ""
    audit.record("agent.token_created", f"Enrolment token {token[:6]}… made{about}{until}.", subject=center)
    digest = ca_sha256()
    return enrolment_string(token, digest) if digest else token


def revoke(token: EnrolmentToken) -> bool:
    """No machine registers with it from now on; those that did stay. False where it was revoked before."""
    with transaction.atomic():
        ended = EnrolmentToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now())
        if ended:
            audit.record("agent.token_revoked", f"Enrolment token {token.hint}… revoked.", subject=token.center)
    return bool(ended)


@needs("centers.edit")
@require_POST
def make_token(request: HttpRequest, pk: int) -> HttpResponse:
    """Make one, and show it this once: the answer is the page itself, and nothing keeps it."""
    center = get_object_or_404(Center, pk=pk)
    days, note = request.POST.get("valid", ""), request.POST.get("note", "").replace("\x00", "").strip()
    text = issue(center, str(request.user), int(days) if days in LASTS else None, note)
    back = CenterPages.url("edit", center)
    more = {"text": text, "broker": settings.AGENT_URL, "cancel_url": back, "list_title": CenterPages.title}
    insecure = settings.AGENT_URL.startswith("http:")
    context = CenterPages.context(request, center, insecure=insecure, **more, **how_to(text))
    return render(request, "centers/enrolment_token.html", context)


@needs("centers.edit")
@require_POST
def revoke_token(request: HttpRequest, pk: int, token: int) -> HttpResponse:
    """Revoke one."""
    found = get_object_or_404(EnrolmentToken.objects.select_related("center"), pk=token, center=pk)
    if revoke(found):
        messages.success(request, f"The token {found.hint}… is revoked. Machines that registered with it stay.")
    return SeeOther(CenterPages.url("edit", found.center))


urlpatterns = [
    path("<int:pk>/enrolment/", make_token, name="make_token"),
    path("<int:pk>/enrolment/<int:token>/revoke/", revoke_token, name="revoke_token"),
]
