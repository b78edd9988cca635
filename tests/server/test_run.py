"""Addresses: who may come in, and ports that are taken."""

import pytest

from toccata.errors import InputError
from toccata.server.run import address, bind, check_address


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "example.org", "::"])
def test_other_machines_are_let_in_with_a_token_only(host):
    with pytest.raises(InputError, match="--token"):
        check_address(host, None)
    check_address(host, "long-enough")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]"])
def test_this_machine_needs_no_token(host):
    check_address(host, None)


@pytest.mark.parametrize("token", ["", "short", "with a space", "semi;colon;;;"])
def test_a_token_is_long_and_plain(token):
    with pytest.raises(InputError, match="a token has 8 to 200"):
        check_address("127.0.0.1", token)


def test_a_port_in_use_is_told():
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        assert address(first) == f"http://127.0.0.1:{port}/"
        with pytest.raises(InputError, match=f"port {port} is in use"):
            bind("127.0.0.1", port)


def test_an_address_that_is_not_ours_is_told():
    with pytest.raises(InputError, match="cannot be served"):
        bind("192.0.2.1", 0)
    with pytest.raises(InputError, match="cannot be served"):
        bind("no.such.host.invalid", 0)
