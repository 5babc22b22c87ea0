"""What identifies a person or opens a door is replaced; what only looks like it stays."""

from __future__ import annotations

import re
import time

import pytest
from genai_prices.data_snapshot import get_snapshot
from hypothesis import example, given
from hypothesis import strategies as st

from apps.monitoring.logs import accounts, contacts, credentials
from apps.monitoring.logs.credentials import API_TOKEN
from apps.monitoring.logs.fields import details
from apps.monitoring.logs.redaction import MAX_TEXT, ContentMode, Redactor
from apps.monitoring.logs.scan import replace
from apps.monitoring.logs.spelling import MANY, in_ascii, narrow
from tests.unit.logs.said import event, line

REDACTOR = Redactor()

FOUND = [
    ("write to mia.garcia+x@mail.example.co.uk.", "write to [email]."),
    ("<jürgen@bücher.example>", "<[email]>"),
    ("a@b.c,d@e.f", "[email],[email]"),
    ("call 555-123-2002", "call [phone]"),
    ("call (555) 123-2002 or 1-800-555-0199.", "call [phone] or [phone]."),
    ("+49 151 2345678", "[phone]"),
    ("+4915123456789", "[phone]"),
    ("0049 (0)30 901820", "[phone]"),
    ("020 7946 0958", "[phone]"),
    ("0176/12345678", "[phone]"),
    ("my phone number is 5551232002", "my phone number is [phone]"),
    ("4111 1111 1111 1111", "[card]"),
    ("4111-1111-1111-1111.", "[card]."),
    ("5555555555554444", "[card]"),
    ("3782 822463 10005", "[card]"),
    ("555-123-4567 4111 1111 1111 1111", "[phone] [card]"),
    ("DE89 3704 0044 0532 0130 00 is mine", "[iban] is mine"),
    ("GB82WEST12345698765432", "[iban]"),
    ("fr14 2004 1010 0505 0001 3m02 606", "[iban]"),
    ("sk-proj-abc123DEF456ghi789", "[secret]"),
    ("key sk_live_4eC39HqLyjWDarjtT1zdp7dc!", "key [secret]!"),
    ("AKIAIOSFODNN7EXAMPLE", "[secret]"),
    ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "[secret]"),
    ("Authorization: Bearer abcdef0123456789ABCDEF", "Authorization: Bearer [secret]"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "[secret]"),
    ('{"api_key": "9f86d081884c7d659a2feaa0c55ad015"}', '{"api_key": "[secret]"}'),
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = [secret]"),
    ("password: hunter", "password: [secret]"),
    ("token=abc123", "token=[secret]"),
    ("my PIN is 4821", "my PIN is [secret]"),
    ("my pin\nis 4821", "my pin\nis [secret]"),
    ("postgres://admin:s3cret@db.example/x", "postgres://[secret]@db.example/x"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow0\n-----END RSA PRIVATE KEY----- x", "[secret] x"),
    ("-----BEGIN PRIVATE KEY-----\nMIIEow0 cut", "[secret]"),
    ("4111  1111  1111  1111", "[card]"),
    ("4111.1111.1111.1111", "[card]"),
    ("4111 1111\n1111 1111", "[card]"),
    ("4111 1111 1111 1111 12/27", "[card] 12/27"),
    ("4111-1111-1111-1111 123", "[card] 123"),
    ("DE89.3704.0044.0532.0130.00", "[iban]"),
    ("IBANDE89370400440532013000", "IBAN[iban]"),
    ("my ibanGB82WEST12345698765432, please", "my iban[iban], please"),
    ("call 555  123  2002 or (555)  123-2002", "call [phone] or [phone]"),
    ("020  7946  0958", "[phone]"),
    ("01.23.45.67.89", "[phone]"),
    ("0171.2345678 and 020.7946.0958", "[phone] and [phone]"),
    ("use amt_abcdefghijklmnopqrstuvwxyz-_ABCDEFGHIJKLMNO.", "use [secret]."),
    ("https://hooks.slack.com/services/T0001/B0001/XXXX1234", "https://hooks.slack.com/services/[secret]"),
    (r"{\"password\": \"hunter2\", \"a\": 1}", r"{\"password\": \"[secret]\", \"a\": 1}"),
    (r"{\\\"api_key\\\":\\\"abc123\\\"}", r"{\\\"api_key\\\":\\\"[secret]\\\"}"),
    (r"password: pa\ss\\word", "password: [secret]"),
    ("PIN: 1234", "PIN: [secret]"),
    ('{"card_pin":"4821"}', '{"card_pin":"[secret]"}'),
    ("passcode = 48213907", "passcode = [secret]"),
    ("postgresql://u:p@ss@word@db.example/x", "postgresql://[secret]@db.example/x"),
    ("amqp://u:p@a.example,mia@b.example", "amqp://[secret]@a.example,[email]"),
    (
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,A0\n\nMIIEow0\n-----END RSA PRIVATE KEY----- x",
        "[secret] x",
    ),
]

OTHERWISE_SPELLED = [
    ("card 4111\u00a01111\u00a01111\u00a01111", "card [card]"),
    ("card 4111\u202f1111\u202f1111\u202f1111", "card [card]"),
    ("card 4111\u20091111\u20091111\u20091111", "card [card]"),
    ("card 4111\u00a0 1111\u00a0 1111\u00a0 1111", "card [card]"),
    ("card 4111\u20111111\u20111111\u20111111", "card [card]"),
    ("card 4111\u20121111\u20121111\u20121111", "card [card]"),
    ("card 4111\u20131111\u20131111\u20131111", "card [card]"),
    ("card \uff14\uff11\uff11\uff11" + "\uff11" * 12, "card [card]"),
    ("card " + " ".join(["\u0664\u0661\u0661\u0661", *["\u0661" * 4] * 3]), "card [card]"),
    ("DE89\u00a03704\u00a00044\u00a00532\u00a00130\u00a000", "[iban]"),
    ("GB82\u202fWEST\u202f1234\u202f5698\u202f7654\u202f32", "[iban]"),
    ("call +49\u00a030\u00a0901820", "call [phone]"),
    ("call +1\u202f555\u202f123\u202f4567", "call [phone]"),
    ("call 1\u2011800\u2011555\u20110199", "call [phone]"),
    ("0171\u00a02345678", "[phone]"),
    ("my number—555-123-2002", "my number—[phone]"),
    ("\uff0b\uff14\uff1930901820", "[phone]"),
    ("PIN: \uff11\uff12\uff13\uff14", "PIN: [secret]"),
]
"""Digits, spaces and hyphens that are not ASCII."""
FOUND += OTHERWISE_SPELLED


def wide(text: str) -> str:
    """As somebody types it whose keyboard is set to full-width characters."""
    return "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in text)


FULL_WIDTH = [
    (wide("john@example.com"), "[email]"),
    ("john\uff20example.com\uff0cjohn@example\uff0ecom", "[email],[email]"),
    (wide("password=hunter"), "password=[secret]"),
    ("password\uff1ahunter", "password:[secret]"),
    (wide("Token：") + "abc123", "Token:[secret]"),
    (wide("PIN: 1234"), "PIN: [secret]"),
    (wide("4111-1111-1111-1111"), "[card]"),
    (wide("my card 4111111111111111!"), wide("my card") + " [card]\uff01"),
    (wide("4111") + "\u3000" + "\u3000".join([wide("1111")] * 3), "[card]"),
    (wide("DE89370400440532013000"), "[iban]"),
    (wide("sk-proj-abc123DEF456ghi789"), "[secret]"),
    (wide("postgres://admin:s3cret@db.example/x"), "postgres://[secret]@db.example/x"),
    (wide("(555)") + " 123-2002", "[phone]"),
    ("\u96fb\u8a71\uff1a020 7946 0958", "\u96fb\u8a71\uff1a[phone]"),
    ("\u90ae\u7bb1\uff1amia@example.com\uff0c\u8c22\u8c22\uff01", "\u90ae\u7bb1\uff1a[email]\uff0c\u8c22\u8c22\uff01"),
]
"""What is as wide as a Chinese character, and what stands beside it."""
FOUND += FULL_WIDTH

KEPT = [
    "order #W2890441, item 2757705742, reservation 4WQ150",
    "gift_card_8887175 and credit_card_9074831 and certificate_8045380",
    "tracking 907614527588",
    "between 2024-05-17 and 05/18/2024 at 12:30",
    "05-12-2024 is a date",
    "192.168.100.12",
    "version 10.20.3000 and 3.14159265358979",
    "it costs 1 234 567.89 or $20.50",
    "4111 1111 1111 1112 has a wrong check digit",
    "GB82 WEST 1234 5698 7654 33 has wrong ones, too",
    "33bcb5d2-ac74-4f5d-8ee4-afa36a837a4b",
    "the token: required; token usage: 812",
    "a password must be long, and the key is under the mat",
    "flights HAT123 and HAT456-789",
    "me @ home, or @handle",
    "the basic telecommunications-related questions",
    "task-management risk-assessment-frameworks-2",
    "\u017fE3550000000054910000003 and AA11",
    "between 2001-2004\n2005-2008 and 2010 2011 2012 2013",
    "numbers 45678901 45678902\n45678903",
    "one IBANDE89370400440532013001 has wrong check digits",
    "reached on 01.02.2024 at 010.020.030.040",
    "amt_paid_to_the_customer_in_the_3rd_quarter",
    "see https://hooks.slack.com/ and https://slack.com/services/T0001/B0001",
    "spin: 1234, the pin: 2024-05-17, pin: 123456789, pin: 12:30",
    "20\u00a0000\u202f€ for 3\u20135 days, 1\u00a0234\u202f567,89",
    "\uff12\uff10\uff12\uff14\u5e74",
    wide("password must be long! order #W2890441 (2024-05-17) @handle"),
]


@pytest.mark.parametrize(("text", "redacted"), FOUND)
def test_what_identifies_or_opens_is_replaced(text: str, redacted: str) -> None:
    assert REDACTOR.redact(text) == redacted


@pytest.mark.parametrize("text", KEPT)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert REDACTOR.redact(text) == text


@pytest.mark.parametrize(("text", "redacted"), FOUND)
def test_redacting_twice_is_redacting_once(text: str, redacted: str) -> None:
    assert REDACTOR.redact(redacted) == redacted


def test_only_what_is_beside_digits_is_spelled_anew_in_a_text_with_something_found() -> None:
    shown = REDACTOR.redact("Bonjour\u202f! 3\u00a0\u20ac \u2014 c\u2019est 4111\u00a01111\u00a01111\u00a01111")
    assert shown == "Bonjour\u202f! 3 \u20ac \u2014 c\u2019est [card]"


@given(st.from_regex(re.compile(r"[A-Za-z0-9_-]{43}"), fullmatch=True))
def test_every_token_of_the_api_is_found(random: str) -> None:
    assert REDACTOR.redact(API_TOKEN + random) == "[secret]"
    assert (
        REDACTOR.redact(f"the token of our own interface is the following one, {API_TOKEN}{random} it says").count("[secret]")
        == 1
    )


SECRETS = [
    "password", "Password", "db_password", "DB_PASSWD", "api_key", "apiKey", "X-Api-Key", "access_key_id", "client_secret", "secret-key",
    "accessToken", "token", "authorization", "Authorization", "pwd", "credentials", "pin", "card_pin", "passcode",
    wide("password"), wide("API-Key"),
]  # fmt: skip
NO_SECRETS = [
    "token_usage",
    "tokens",
    "max_tokens",
    "password_is_set",
    "key",
    "author",
    "spin",
    "pinned",
    "secretary",
    "credential_count",
]


@pytest.mark.parametrize("key", SECRETS)
def test_what_stands_under_the_name_of_a_secret_is_hidden(key: str) -> None:
    held = {key: "hunter", "inner": [{key: 4821}, {key: ("hunter", 7)}, {key: b"hunter"}]}
    hidden = {key: "[secret]", "inner": [{key: "[secret]"}, {key: ["[secret]", "[secret]"]}, {key: "[secret]"}]}
    assert REDACTOR.tree(held) == hidden
    assert details(held, REDACTOR) == hidden
    assert details(held, Redactor(ContentMode.NONE)) == hidden


@pytest.mark.parametrize("key", NO_SECRETS)
def test_what_stands_under_a_similar_name_is_shown(key: str) -> None:
    assert REDACTOR.tree({key: ["hunter", 7]}) == details({key: ["hunter", 7]}, REDACTOR) == {key: ["hunter", 7]}


def test_under_the_name_of_a_secret_a_mapping_is_walked_and_what_says_nothing_stays() -> None:
    held = {"credentials": {"user": "Ann", "password": "hunter"}, "token": None, "secret": True, 7: "x"}
    shown = {"credentials": {"user": "Ann", "password": "[secret]"}, "token": None, "secret": True}
    assert REDACTOR.tree(held) == {**shown, 7: "x"}
    assert details(held, REDACTOR) == {**shown, "7": "x"}


def test_a_refused_value_hides_secrets_too() -> None:
    assert line(event(confidence_score={"token": "hunter"}))["refused"] == {"confidence_score": "{'token': '[secret]'}"}


def test_secrets_are_shown_when_everything_is_kept() -> None:
    assert details({"password": "hunter"}, Redactor(ContentMode.FULL)) == {"password": "hunter"}


def test_a_text_is_kept_redacted_or_left_out_by_the_mode() -> None:
    text = "I am mia@example.com"
    shown = {mode: Redactor(mode).text(text) for mode in ContentMode}
    assert shown == {ContentMode.FULL: text, ContentMode.REDACTED: "I am [email]", ContentMode.NONE: None}


def test_names_are_redacted_when_texts_are_left_out() -> None:
    assert Redactor(ContentMode.NONE).short("chat-with-mia@example.com") == "[email]"


def test_the_users_own_patterns_are_applied() -> None:
    redactor = Redactor.make("redacted", [r"#W\d{7}", r"(?i)project \w+"])
    assert redactor.text("Project Apollo has #W2890441") == "[redacted] has [redacted]"


@pytest.mark.parametrize(
    ("mode", "pattern", "words"),
    [("everything", "x", "everything"), ("full", "(", r"'\('"), ("full", "x*", "matches the empty text")],
)
def test_a_setting_that_cannot_work_is_refused_by_name(mode: str, pattern: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Redactor.make(mode, [pattern])


@pytest.mark.parametrize("mode", [ContentMode.FULL, ContentMode.REDACTED])
def test_a_long_text_is_cut_and_says_so(mode: ContentMode) -> None:
    shown = Redactor(mode).text("é" * 5_000)
    assert shown == "é" * MAX_TEXT + "…"


@pytest.mark.parametrize("before", range(MAX_TEXT - 60, MAX_TEXT + 10))
def test_the_cut_never_leaves_half_of_a_secret(before: int) -> None:
    secret = "sk-" + "Ab1" * 15
    shown = REDACTOR.text("x" * (before - 1) + " " + secret + " y" * 2_000)
    assert shown is not None
    assert "Ab1" not in shown


def test_what_redaction_shortens_does_not_uncover_the_end_of_the_window() -> None:
    shown = REDACTOR.text(
        "mia.garcia.of.the.long.name@example.com " * 40 + "x" * 400 + " " + "mia.garcia" * 200 + "@example.com"
    )
    assert shown is not None
    assert "mia" not in shown


def test_nested_values_are_redacted_with_their_shape_kept() -> None:
    event = {"message": "mia@example.com", "extra": [{"level": 3, "to": ("+4915123456789", None)}]}
    assert REDACTOR.tree(event) == {"message": "[email]", "extra": [{"level": 3, "to": ["[phone]", None]}]}


HOSTILE = [
    "a", "1", " ", "-", "@", "a@", "a@a", "a.", "a.a@a.", "@a.", "1 ", "1-", "12 ", "0 1", "(0", "(0)", "+1", "+1 ", "00", "0/", "4",
    "4111 ", "4111 1111 1111 1112 ", "AB12", "AB12 ", "DE89 ", "sk-", "sk-a", "sk_1 ", "eyJ", "eyJ-", "eyJ.", "eyJaaaaaaaa.", "://",
    "://a:", "://a:b", "token=", "token: ", "tokentoken", "api_", "apikey", "password is ", "pin is", "bearer ", "bearer a",
    "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "-----BEGIN A PRIVATE KEY", "gh", "xoxb-", "SG.", "SG.aaaaaaaaaaaaaaaaa.", "phone ",
    "phone:", "call me at ", "555-123-", "555-123-2002", "1(", "\n", "é", "\ud800", "AKIA", "😀1",
    "key:", "pass", "pin", "1234567 ", "AT12 ", "cret=", "a_1",
    "4111  ", "4111\n", "aAT12", "aDE8937040044053201300", "0171.", "01.23.", "amt_", "hooks.slack.com/", "://hooks.slack.com/a/", "token=\\",
    "\\", '\\"token\\": \\', "password=\\\\", "pin:", "PIN: 1234", "://a:@", "://a:b@", "@@", "-----BEGIN PRIVATE KEY-----a-", "-a", "----",
    "\uff14", "\uff20", "\uff41\uff20", "\uff54\uff4f\uff4b\uff45\uff4e\uff1d", "\uff14\uff14\uff14\uff14\u00a0", "1\u2011", "1\u00a0", "\u2011", "\u00a0",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_long_hostile_text_costs_time_in_proportion_to_its_length(piece: str) -> None:
    def seconds(length: int) -> float:
        text = (piece * (length // len(piece) + 1))[:length] + " 1@=: 1234567"
        best = float("inf")
        for _ in range(2):
            began = time.thread_time()
            REDACTOR.redact(text)
            best = min(best, time.thread_time() - began)
        return best

    eighth, whole = seconds(25_000), seconds(200_000)
    assert whole < 8 * 3 * max(eighth, 0.002), "the time grows faster than the text"
    assert whole < 4


@given(st.text(st.characters(codec=None), max_size=3_000))
def test_any_text_can_be_redacted(text: str) -> None:
    shown = REDACTOR.text(text)
    assert shown is not None
    assert len(shown) <= max(MAX_TEXT + 1, len(text) * 2)


@given(
    st.from_regex(re.compile(r"[a-z0-9]{1,12}(\.[a-z0-9]{1,8})?@[a-z]{2,12}\.(com|de|co\.uk)"), fullmatch=True),
    st.text("ab 1.,", max_size=50),
)
def test_no_address_survives_wherever_it_stands(address: str, around: str) -> None:
    assert address not in REDACTOR.redact(f"{around} {address} {around}")


PIECES = [
    *(text for text, _ in FOUND), *KEPT, *" \n\u00a0\u2011\uff14\\\"’é0159.,:=+-/()#_'@", "00", "020", "7946", "123", "4567", "5551232002", "4111",
    "password", "Passw", "pin", "PIN", " is ", "was", "api", "key", "token", "secret", "pwd", "Bearer ", "sk-", "ghp_", "AKIA",
    "abcdef0123456789", "phone", "Tel.", "call me", " on ", "DE89", "AT12", "GB", "IBAN", "amt_", "://hooks.slack.com/a/", "  ", "1234", "passcode",
    '\\"', "://u:",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=20).map("".join))
@example("DE89.3704.0044.0532.0130.00555-123-4567 4111 1111 1111 1111")  # what is left of it looks like a phone number
def test_a_first_glance_overlooks_nothing_that_a_close_look_finds(text: str) -> None:
    seen = text
    if len(re.findall("[0-9]", text)) >= 7 or MANY in text.encode("ascii", "replace"):
        seen = in_ascii(text)
    closely = closely_looked_at(seen)
    first = text if closely == seen else closely
    narrowed = narrow(first)
    if narrowed != first:  # else it is not looked at twice
        closely = closely_looked_at(narrowed)
        first = first if closely == narrowed else closely
    assert REDACTOR.redact(text) == first


def closely_looked_at(seen: str) -> str:
    """With every pattern, whatever the text."""
    shown = credentials._PRIVATE_KEY.sub(credentials.SECRET, seen)
    if max(map(len, shown.split()), default=0) >= 15:
        shown = credentials._IN_ADDRESS.sub(credentials.SECRET, shown)
    shown = credentials._SLACK_HOOK.sub(credentials._keep_address, credentials._API_TOKEN.sub(credentials.SECRET, shown))
    shown = credentials._KNOWN.sub(credentials._with_digit, shown)
    shown = credentials._JWT.sub(credentials.SECRET, shown)
    shown = credentials._AUTHORIZATION.sub(credentials._value_with_digit, shown)
    shown = credentials._ASSIGNED.sub(credentials._value_like_a_secret, shown)
    shown = credentials._PIN.sub(credentials._keep_name, credentials._SPOKEN.sub(credentials._value_with_digit, shown))
    shown = contacts.redact_emails(shown)
    if re.search("[0-9]{4}", shown):
        shown = accounts._GLUED.sub(accounts._keep_word, replace(accounts._IBAN, shown, accounts._iban, accounts.IBAN))
        shown = replace(accounts._CARD, shown, accounts._card, accounts.CARD)
    for pattern, accepted in (
        (contacts._INTERNATIONAL, contacts._any),
        (contacts._AMERICAN, contacts._any),
        (contacts._NATIONAL, contacts._national),
    ):
        shown = replace(pattern, shown, accepted, contacts.PHONE)
    return contacts._NAMED.sub(contacts._keep_name, shown)


@given(st.integers(10**14, 10**15 - 1))
def test_every_valid_card_number_is_found(body: int) -> None:
    digits = "4" + str(body)
    check = next(last for last in range(10) if luhn(digits[:15] + str(last)) == 0)
    card = digits[:15] + str(check)
    assert REDACTOR.redact(f"it is {card}.") == "it is [card]."


def luhn(digits: str) -> int:
    """Written the other way round than the product's."""
    total = 0
    for place, digit in enumerate(digits[::-1]):
        total += sum(int(part) for part in str(int(digit) * (1 + place % 2)))
    return total % 10


def test_no_listed_models_name_is_taken_for_anything_else() -> None:
    names = {name for provider in get_snapshot().providers for model in provider.models for name in (provider.id, model.id)}
    assert len(names) > 1_000
    assert [name for name in names if REDACTOR.redact(name) != name] == []
