"""The form "Create Pool" (seed ch. 7, SPEC 3.1)."""

from typing import Any, ClassVar

from django import forms
from django.db.models import Q, QuerySet

from broker.core.filters import key
from broker.core.forms import RELOAD, DualListField, PageForm, RowsField, Section, when
from centers.models import Center, Desktop
from pools import rules
from pools.models import Pool
from pools.tree import below, in_order

By = Pool.By
JOINS = [("and", "And: all of them"), ("or", "Or: at least one of them")]
LONGEST_TAG = 60


class RuleRow(forms.Form):
    """One condition on the desktops."""

    attribute = forms.ChoiceField(
        label="Attribute", choices=[(key, label) for key, (label, _) in rules.ATTRIBUTES.items()]
    )
    condition = forms.ChoiceField(label="Condition", choices=list(rules.CONDITIONS.items()))
    value = forms.CharField(label="Value", required=False, max_length=255)

    def clean(self) -> dict[str, Any]:
        """Refuse a value that its condition cannot use."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        try:
            rules.check(cleaned)
        except rules.BadRule as bad:
            self.add_error("value", str(bad))
        return cleaned


class TagsField(forms.CharField):
    """Words separated by commas; the value is a list."""

    def prepare_value(self, value: Any) -> Any:
        """The list as one line."""
        return ", ".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:
        """Each tag once, in the order typed."""
        tags = [tag.strip() for tag in str(super().clean(self.prepare_value(value))).split(",")]
        kept = list(dict.fromkeys(tag for tag in tags if tag))
        if any(len(tag) > LONGEST_TAG for tag in kept):
            raise forms.ValidationError(f"A tag has at most {LONGEST_TAG} characters.")
        return kept

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compared as they are stored."""
        return list(initial or []) != self.clean(data or "")


class ParentField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """Pools as a tree."""

    def show(self, pools: list[Pool], without: set[int]) -> None:
        """Offer these pools, indented, but for those that lie below."""
        entries = [(pool.pk, "\u2003" * depth + pool.name) for pool, depth in in_order(pools) if pool.pk not in without]
        self.queryset = Pool.objects.filter(pk__in=[key for key, _ in entries])
        self.choices = entries  # a plain list instead of an iterator over the table


class DesktopsField(DualListField):
    """Desktops by all the names that tell them apart."""

    def label_from_instance(self, obj: Any) -> str:
        """ "Engineering – alice (WSAMZN-1A2B, WorkSpaces Virginia)"."""
        return f"{obj} ({obj.name}, {obj.center})"


class PoolForm(PageForm):
    """A pool: what it is called, what it is part of, which desktops are in it."""

    parent = ParentField(
        Pool.objects.none(), label="Subset of pool", widget=forms.Select(attrs=RELOAD), empty_label=None,
        help_text="Only desktops of that pool can be in this one.",
    )  # fmt: skip
    defined_by = forms.ChoiceField(label="Define pool using", choices=[(c.value, c.label) for c in By if c != By.ALL])
    centers = DualListField(Center.objects.order_by("name"), noun="centers", label="Centers")
    join = forms.ChoiceField(
        label="And/Or", choices=JOINS, required=False, help_text="How several of them count together."
    )
    rules = RowsField(RuleRow, label="Desktops whose", add_label="Add row", least=1)
    tags = TagsField(label="Tags", required=False, help_text="Tags of desktops, separated by commas.")
    desktops = DesktopsField(
        Desktop.objects.none(), noun="desktops", search=("name", "display_name", "ref", "bound_user"), label="Desktops"
    )
    notes = forms.CharField(
        label="Notes", required=False, max_length=4095, widget=forms.Textarea(attrs={"rows": 3}),
        help_text="For whoever looks after this later; users never see it.",
    )  # fmt: skip

    class Meta:
        model = Pool
        fields: ClassVar = [
            "name", "display_name", "parent", "defined_by", "centers", "rules", "tags", "desktops", "never_rogue",
            "distribute", "notes",
        ]  # fmt: skip
        help_texts: ClassVar = {
            "display_name": "What users see where a policy shows pool names. Leave it empty if none does.",
            "never_rogue": "Whoever logs in to one of its desktops directly counts as the user it is assigned to.",
            "distribute": "Which center comes first for somebody new. Randomly: another one for each user.",
        }

    sections: ClassVar = [
        Section("Pool", "", ["name", "display_name"]),
        Section("Pool Definition", "Which desktops are in it. New desktops that fit join by themselves.",
                ["parent", "defined_by", "centers", "rules", "tags", "join", "desktops"]),
        Section("Offers", "", ["never_rogue", "distribute"]),
        Section("", "", ["notes"]),
    ]  # fmt: skip
    show_when: ClassVar = {
        "centers": when("defined_by", By.CENTERS), "rules": when("defined_by", By.ATTRIBUTES),
        "tags": when("defined_by", By.TAGS), "join": when("defined_by", By.ATTRIBUTES, By.TAGS),
        "desktops": when("defined_by", By.SELECTION),
    }  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.is_root:
            for name in ("parent", "defined_by", "centers", "join", "rules", "tags", "desktops"):
                del self.fields[name]
            return
        self.pools = {pool.pk: pool for pool in Pool.objects.all()}
        field: Any = self.fields["parent"]
        field.show(list(self.pools.values()), below(self.instance, self.pools.values()) if self.instance.pk else set())
        self.initial.setdefault("parent", next((key for key, pool in self.pools.items() if pool.is_root), None))
        self.initial["join"] = "and" if self.instance.match_all else "or"
        chosen: Any = self.fields["desktops"]
        chosen.queryset = self.in_parent().select_related("center").order_by("name")

    def in_parent(self) -> QuerySet[Desktop]:
        """The desktops that can be picked."""
        parent = self.pools.get(number(self.chosen("parent")))
        return rules.desktops(parent, self.pools) if parent else Desktop.objects.none()

    def clean(self) -> dict[str, Any]:
        """A definition says something."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        missing = {
            By.CENTERS: ("centers", "Move at least one center to the Selected centers."),
            By.ATTRIBUTES: ("rules", "Enter at least one row with a value."),
            By.TAGS: ("tags", "Enter at least one tag."),
        }.get(cleaned.get("defined_by", ""))
        if missing and missing[0] in cleaned and not cleaned[missing[0]]:
            self.add_error(*missing)
        return cleaned

    def instance_values(self) -> None:
        """And, or Or."""
        super().instance_values()
        if "join" in self.fields:
            self.instance.match_all = self.cleaned_data.get("join") != "or"

    def draft(self) -> QuerySet[Desktop]:
        """The desktops that the pool would hold if this valid form were saved."""
        data, how = self.cleaned_data, self.cleaned_data["defined_by"]
        typed = Pool(rules=data["rules"], tags=data["tags"], match_all=data["join"] != "or")
        own = {
            By.CENTERS: lambda: Q(center__in=data["centers"]),
            By.ATTRIBUTES: lambda: rules.by_attributes(typed),
            By.TAGS: lambda: rules.by_tags(typed),
            By.SELECTION: lambda: Q(pk__in=data["desktops"]),
        }[how]()
        return rules.desktops(data["parent"], self.pools).filter(own)


def number(value: Any) -> int:
    """A posted key as a number; 0 is nobody's."""
    return key(str(value))
