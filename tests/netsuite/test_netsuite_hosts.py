"""The forms of an account id, and the addresses that follow from it."""

from __future__ import annotations

import pytest

from resources.netsuite.hosts import Hosts


@pytest.mark.parametrize("account", ["7654321_SB1", "7654321-sb1", "7654321_sb1"])
def test_a_sandbox_account_in_any_spelling(account: str) -> None:
    hosts = Hosts(account)
    assert hosts.label == "7654321-sb1"
    assert hosts.realm == "7654321_SB1"
    assert (
        hosts.token_url == "https://7654321-sb1.suitetalk.api.netsuite.com/services/rest/auth/oauth2/v1/token"
    )
    assert hosts.restlets_prefix == "https://7654321-sb1.restlets.api.netsuite.com"


@pytest.mark.parametrize("base", ["http://127.0.0.1:4321/1234567-sb1", "http://127.0.0.1:4321/1234567-sb1/"])
def test_a_base_url_stands_before_the_path_as_it_is(base: str) -> None:
    hosts = Hosts("1234567_SB1", base)
    assert hosts.is_loopback
    assert (
        hosts.url("/services/rest/record/v1/invoice/1", "fields=memo")
        == "http://127.0.0.1:4321/1234567-sb1/services/rest/record/v1/invoice/1?fields=memo"
    )


@pytest.mark.parametrize("account", ["", "12 34", "../1", "1234567_SB1_X", "a.example.com/"])
def test_what_is_no_account_id_is_refused_with_where_to_find_it(account: str) -> None:
    with pytest.raises(ValueError, match="Company Information"):
        Hosts(account)


@pytest.mark.parametrize("base", ["127.0.0.1:80", "ftp://x/y", "http://x/y?z=1", "http://u:secret@x/y"])
def test_a_base_url_that_cannot_be_used_is_refused_without_repeating_a_password(base: str) -> None:
    with pytest.raises(ValueError, match="base URL") as caught:
        Hosts("1234567", base)
    assert "secret" not in str(caught.value)
