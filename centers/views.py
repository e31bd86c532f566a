"""Pages of centers that are no list and no form."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from broker.core.pages import needs


@needs("centers.view")
def aws_policy(request: HttpRequest) -> HttpResponse:
    """The IAM policy with the least permissions, ready to paste (docs/aws-policy.json)."""
    text = (settings.BASE_DIR / "docs" / "aws-policy.json").read_text()
    return HttpResponse(text, content_type="application/json")
