"""Which policies use a plan. Policies stand above plans, so they are found through the plans' own relations."""

from collections.abc import Sequence

from django.db.models import PROTECT, ManyToOneRel, Model
from django.urls import reverse

Users = list[tuple[str, str]]


def policies_using(model: type[Model], plans: Sequence[Model] | None = None) -> dict[int, Users]:
    """Plan id -> the policies that name it, as (words, address); all plans where none are given. One statement for
    each column of policies that names such a plan."""
    found: dict[int, dict[str, str]] = {}
    for relation in model._meta.get_fields(include_hidden=True):
        if not isinstance(relation, ManyToOneRel) or relation.on_delete is not PROTECT:
            continue
        rows = relation.related_model._default_manager.select_related()
        column = relation.field.attname
        rows = rows.filter(**({f"{column}__isnull": False} if plans is None else {f"{column}__in": plans}))
        for row in rows:
            policy = getattr(row, "policy", row)
            users = found.setdefault(getattr(row, column), {})
            users[f"Policy “{policy}”"] = reverse("policies:edit", args=[policy.pk])
    return {key: sorted(users.items()) for key, users in found.items()}
