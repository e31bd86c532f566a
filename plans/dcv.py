"""The .dcv file that a user of an Amazon DCV desktop gets. Pure."""

from collections.abc import Mapping

from plans.tags import clean, render, unknown_tags

MEDIA_TYPE = "application/x-dcv"
DEFAULT_DCV_TEMPLATE = "[options]\nfullscreen=true\n"
SECRET = ("password", "authtoken")


def template_errors(template: str) -> list[str]:
    """What the form refuses, in words: unknown tags, secrets, lines that are neither `[section]` nor `name=value`."""
    errors = [f"There is no dynamic tag {tag}." for tag in unknown_tags(template)]
    for number, line in enumerate(map(str.strip, template.splitlines()), 1):
        if line.partition("=")[0].strip().casefold() in SECRET:
            errors.append(f"Line {number}: a password never stands in a .dcv file.")
        elif line and not (line.startswith("[") and line.endswith("]")) and "=" not in line:
            errors.append(f"Line {number} is neither a [section] nor of the form name=value.")
    return errors


def dcv_file(template: str, values: Mapping[str, str]) -> bytes:
    """The file as bytes. It connects to {GATEWAY} or else {IP}, with {PORT}, as {USER}; the template adds to it."""
    sections = {
        "version": {"format": "1.0"},
        "connect": {
            "host": clean(values.get("GATEWAY") or values.get("IP") or ""),
            "port": clean(values.get("PORT", "")),
            "user": clean(values.get("USER", "")),
        },
    }
    section = "connect"
    for line in template.splitlines():
        written = render(line, values).strip()
        if written.startswith("[") and written.endswith("]"):
            section = written[1:-1].strip().casefold()
            continue
        name, equals, value = written.partition("=")
        if equals and name.strip().casefold() not in SECRET:
            sections.setdefault(section, {})[name.strip()] = value.strip()
    return "".join(
        f"[{name}]\n{''.join(f'{key}={value}{chr(10)}' for key, value in lines.items() if value)}"
        for name, lines in sections.items()
    ).encode()
