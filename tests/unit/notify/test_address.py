"""Which addresses a webhook may reach."""

from __future__ import annotations

import pytest

from apps.monitoring.notify.channels.address import ForbiddenAddressError, UnresolvedError, resolve

FORBIDDEN = {
    "loopback": "http://127.0.0.1/",
    "another loopback": "http://127.8.9.10/",
    "by name": "http://localhost/",
    "unspecified": "http://0.0.0.0/",
    "short": "http://127.1/",
    "decimal": "http://2130706433/",
    "hexadecimal": "http://0x7f000001/",
    "octal": "http://0177.0.0.1/",
    "zero": "http://0/",
    "ten": "http://10.1.2.3/",
    "172.16": "http://172.16.0.1/",
    "192.168": "http://192.168.1.1:8080/hook",
    "carrier-grade NAT": "http://100.64.0.1/",
    "link-local": "http://169.254.1.1/",
    "metadata": "http://169.254.169.254/latest/meta-data/",
    "metadata of Alibaba": "http://100.100.100.200/",
    "metadata of Azure": "http://168.63.129.16/",
    "metadata of Oracle": "http://192.0.0.192/",
    "for protocols": "http://192.0.0.9/",
    "for protocols, NAT64": "http://[64:ff9b::c000:c0]/",
    "metadata of AWS over IPv6": "http://[fd00:ec2::254]/",
    "multicast": "http://224.0.0.1/",
    "broadcast": "http://255.255.255.255/",
    "reserved": "http://240.0.0.1/",
    "benchmarking": "http://198.18.0.1/",
    "IPv6 loopback": "http://[::1]/",
    "IPv6 unspecified": "http://[::]/",
    "IPv6 link-local": "http://[fe80::1]/",
    "IPv6 unique local": "http://[fd12:3456::1]/",
    "IPv6 site-local": "http://[fec0::1]/",
    "IPv6 multicast": "http://[ff02::1]/",
    "IPv4-mapped": "http://[::ffff:127.0.0.1]/",
    "IPv4-mapped, in hexadecimal": "http://[::ffff:a00:1]/",
    "IPv4-compatible": "http://[::127.0.0.1]/",
    "6to4 of a private address": "http://[2002:a00:1::]/",
    "NAT64 of loopback": "http://[64:ff9b::7f00:1]/",
    "documentation": "http://[2001:db8::1]/",
    "a user in it": "http://user@93.184.215.14/",
    "an empty user in it": "http://@93.184.215.14/",
    "a backslash in it": "http://93.184.215.14\\@127.0.0.1/",
    "a fragment in it": "http://127.0.0.1#@93.184.215.14/",
    "another scheme": "file:///etc/passwd",
    "gopher": "gopher://93.184.215.14/",
    "no host": "http:///path",
    "no address": "hook",
    "nothing": "",
    "a port that is none": "http://93.184.215.14:99999/",
    "an open bracket": "http://[::1/",
    "letters that look like others": "http://ⓛocalhost/",
}


@pytest.mark.parametrize("url", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_it_is_refused(url: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        resolve(url, [])


@pytest.mark.parametrize(
    "url", ["https://93.184.215.14/hook", "http://[2606:4700::1111]:8443/hook", "http://[64:ff9b::5db8:d70e]/"]
)
def test_a_public_address_is_reached(url: str) -> None:
    assert resolve(url, []).url.startswith(url.partition("/hook")[0].rstrip("/"))


def test_the_address_stands_in_the_place_of_the_name_and_everything_else_stays() -> None:
    target = resolve("https://localhost:8443/a/b?c=d%20e", ["localhost"])
    assert target.url in {"https://127.0.0.1:8443/a/b?c=d%20e", "https://[::1]:8443/a/b?c=d%20e"}
    assert (target.host, target.host_header) == ("localhost", "localhost:8443")


@pytest.mark.parametrize(("scheme", "port"), [("http", 80), ("https", 443)])
def test_the_port_is_that_of_the_scheme(scheme: str, port: int) -> None:
    assert resolve(f"{scheme}://93.184.215.14/", []).port == port


class TestAllowed:
    @pytest.mark.parametrize("allowed", ["127.0.0.1", "127.0.0.1:8080"])
    def test_a_private_address_is_reached_when_ops_allow_it(self, allowed: str) -> None:
        assert resolve("http://127.0.0.1:8080/", [allowed]).port == 8080

    @pytest.mark.parametrize("allowed", ["::1", "[::1]", "[::1]:8080"])
    def test_so_is_one_of_ipv6(self, allowed: str) -> None:
        assert resolve("http://[::1]:8080/", [allowed]).address == "::1"

    def test_upper_and_lower_case_are_the_same(self) -> None:
        assert resolve("http://LOCALHOST/", ["LocalHost"]).host == "localhost"

    @pytest.mark.parametrize("allowed", ["127.0.0.1:80", "localhost:8080", "127.0.0.2", ""])
    def test_another_port_or_name_is_not_meant(self, allowed: str) -> None:
        with pytest.raises(ForbiddenAddressError):
            resolve("http://127.0.0.1:8080/", [allowed])


def test_a_name_that_has_no_address_now_may_have_one_later() -> None:
    with pytest.raises(UnresolvedError):
        resolve("https://no-such-host.invalid/", [])
