"""Only the viewer page runs WebAssembly and calls a gateway, and it does nothing else that other pages may not."""

from broker.connect.viewer_policy import policy
from broker.core.middleware import POLICY


def directives(text: str) -> dict[str, list[str]]:
    """A policy, by directive."""
    return {name: values for name, *values in (each.split() for each in text.split("; "))}


def test_it_is_the_policy_of_all_pages_but_for_webassembly_and_one_gateway() -> None:
    every, ours = directives(POLICY), directives(policy(["wss://desk.example.com:8443"]))
    changed = {name: values for name, values in ours.items() if values != every[name]}
    assert ours.keys() == every.keys()
    assert changed == {
        "script-src": ["'self'", "'wasm-unsafe-eval'"],
        "connect-src": ["'self'", "wss://desk.example.com:8443", "https://desk.example.com:8443"],
    }


def test_without_a_gateway_of_another_address_it_connects_to_its_own() -> None:
    assert directives(policy([]))["connect-src"] == ["'self'"]


def test_a_terminal_needs_no_webassembly_but_colours() -> None:
    ours = directives(policy([], "ssh"))
    assert (ours["script-src"], ours["style-src"]) == (["'self'"], ["'self'", "'unsafe-inline'"])
