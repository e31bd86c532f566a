"""The tab General of a policy (SPEC 3.5.1). Its other tabs: line_forms.py, hard_forms.py."""

import re
from typing import Any, ClassVar

from django import forms

from broker.core import words
from broker.core.forms import Section, when
from plans.fields import tag_list, url
from policies.filter_forms import DesktopFilterMixin, desktop_rows, join
from policies.forms import notes
from policies.line_forms import SECONDS, keep_choice, needs_url
from policies.models import START_MESSAGE, Policy, Usb

PORT_CLOSE_MINUTES = (1, 2, 3, 4, 5, 10, 15)
LONGEST_MINUTES = (-1, 60, 120, 240, 480, 600, 720, 1440)
REDIRECTION = ["clipboard", "redirect_drives", "redirect_printers", "redirect_audio", "usb", "usb_devices"]
START = ["start_call", "start_url", "start_timeout", "start_blocks", "start_message"]
AT_SIGN_IN = frozenset({"USER", "DOMAIN", "EMAIL", "POLICY", "CLIENT_IP"})  # no desktop yet
DEVICE = re.compile(
    r"USB\\[A-Za-z0-9_&.\\-]{1,190}|\{[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}", re.IGNORECASE
)
EXPIRE_MINUTES = (1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240, 480, 720, 1440, 2880, -1)


class PolicyForm(DesktopFilterMixin):
    """Tab General."""

    max_desktops = forms.IntegerField(
        label="Maximum desktops", initial=-1, min_value=-1,
        help_text="How many desktops a person has at most, from all pools together. -1 is no limit.",
    )  # fmt: skip
    session_expire = forms.TypedChoiceField(
        label="Expire broker session after", coerce=int, initial=2880,
        choices=[(n, "Never" if n < 0 else words.duration(n * 60)) for n in EXPIRE_MINUTES],
        help_text="Without activity in the web client. Open desktops go on.",
    )  # fmt: skip
    port_close = forms.TypedChoiceField(
        label="Close gateway ports if user does not log in", coerce=int, initial=5,
        choices=[(n, words.duration(n * 60)) for n in PORT_CLOSE_MINUTES],
        help_text="A port that a gateway opened for a connection file is closed when nobody has used it for so long.",
    )  # fmt: skip
    longest = forms.TypedChoiceField(
        label="Maximum session length", coerce=int, initial=-1,
        choices=[(n, "No limit" if n < 0 else words.duration(n * 60)) for n in LONGEST_MINUTES],
        help_text="A connection through a gateway ends then. The session on the desktop goes on.",
    )  # fmt: skip
    usb_devices = forms.CharField(
        label="Those USB devices", required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One a line: a device such as USB\\VID_046D&PID_C52B, or the GUID of a class in braces.",
    )  # fmt: skip
    start_url = url("URL", tag_list(AT_SIGN_IN), AT_SIGN_IN, "at the start of a session")
    start_message = forms.CharField(
        label="Message", required=False, max_length=500, initial=START_MESSAGE,
        help_text="What people read whose login is blocked.",
    )  # fmt: skip
    desktop_rows = desktop_rows()
    desktop_join = join()
    notes = notes()

    class Meta:
        model = Policy
        fields: ClassVar = [
            "name",
            "max_desktops",
            "auto_launch",
            "new_windows",
            "offer_empty_pools",
            "session_expire",
            "expire_on_lock",
            *START,
            "port_close",
            "longest",
            *REDIRECTION,
            "notes",
        ]
        help_texts: ClassVar = {
            "new_windows": "A desktop in the browser gets a tab of its own, and the list of desktops stays.",
            "auto_launch": "With exactly one desktop to offer, people go straight to it.",
            "expire_on_lock": "Whoever locks their desktop is signed out here, too. The desktop's session goes on.",
            "offer_empty_pools": "Otherwise a pool that has no desktop for somebody is not mentioned. Where they are "
            "only in use, people can wait for one.",
            "clipboard": "For viewers in the browser. A connection file knows no direction: it has the clipboard "
            "in both or not at all.",
            "redirect_drives": "Of the user's device, by a connection file. Viewers in the browser have none.",
            "redirect_printers": "Likewise.",
            "redirect_audio": "Likewise, with the microphone.",
            "usb": "Likewise.",
            "start_timeout": SECONDS,
            "start_blocks": "No answer in time, or one of 400 or more, keeps people out. Whoever may use these pages "
            "is let in all the same.",
        }

    sections: ClassVar = [
        Section("General", "", ["name", "max_desktops", "auto_launch", "new_windows", "offer_empty_pools",
                                  "session_expire", "expire_on_lock"]),
        Section("Start of session", "A program of yours hears of every sign-in, and can have a say.", START),
        Section("Connections", "", ["port_close", "longest"]),
        Section("Redirection", "What may pass between the user's device and the desktop. What is not ticked is kept "
                "out whatever a protocol plan's configuration file says.", REDIRECTION),
        Section("Desktop filter", "For all pools of this policy; each of them can have rows of its own besides.",
                ["desktop_rows", "desktop_join"]),
        Section("", "", ["notes"]),
    ]  # fmt: skip
    show_when: ClassVar = {
        "usb_devices": when("usb", Usb.SOME), **{name: when("start_call", True) for name in START[1:]},
    }  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("session_expire", "port_close", "longest"):
            keep_choice(self.fields[name], getattr(self.instance, name), lambda n: words.duration(n * 60))

    def clean(self) -> dict[str, Any]:
        """Some devices are devices that are named."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("usb") == Usb.SOME and "usb_devices" in cleaned:
            devices = [line.strip() for line in cleaned["usb_devices"].splitlines() if line.strip()]
            if not devices:
                self.add_error("usb_devices", "Name at least one device, or choose None above.")
            for device in devices:
                if not DEVICE.fullmatch(device):
                    self.add_error("usb_devices", f"“{device}” is neither a device's id nor a GUID in braces.")
        needs_url(self, "start_call", "start_url")
        return cleaned

    def clean_start_message(self) -> str:
        """Nobody is kept out without a word."""
        return self.cleaned_data["start_message"] or START_MESSAGE
