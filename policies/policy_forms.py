"""The tab General of a policy (SPEC 3.5.1). Its other tabs: line_forms.py, hard_forms.py."""

from typing import Any, ClassVar

from django import forms

from broker.core import words
from broker.core.forms import Section
from policies.filter_forms import DesktopFilterMixin, desktop_rows, join
from policies.forms import notes
from policies.line_forms import keep_choice
from policies.models import Policy

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
    desktop_rows = desktop_rows()
    desktop_join = join()
    notes = notes()

    class Meta:
        model = Policy
        fields: ClassVar = [
            "name",
            "max_desktops",
            "auto_launch",
            "offer_empty_pools",
            "session_expire",
            "expire_on_lock",
            "notes",
        ]
        help_texts: ClassVar = {
            "auto_launch": "With exactly one desktop to offer, people go straight to it.",
            "expire_on_lock": "Whoever locks their desktop is signed out here, too. The desktop's session goes on.",
            "offer_empty_pools": "Otherwise a pool that has no desktop for somebody is not mentioned. Where they are "
            "only in use, people can wait for one.",
        }

    sections: ClassVar = [
        Section("General", "", ["name", "max_desktops", "auto_launch", "offer_empty_pools", "session_expire",
                                  "expire_on_lock"]),
        Section("Desktop filter", "For all pools of this policy; each of them can have rows of its own besides.",
                ["desktop_rows", "desktop_join"]),
        Section("", "", ["notes"]),
    ]  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        keep_choice(self.fields["session_expire"], self.instance.session_expire, lambda n: words.duration(n * 60))
