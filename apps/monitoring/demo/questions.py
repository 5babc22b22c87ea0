"""What the customers of three fictitious companies ask: by tenant and intent, in several wordings."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

Wordings = tuple[str, ...]

_AIRLINE: Final[dict[str, Wordings]] = {
    "change_flight": (
        "I need to move my booking to another date, it is under {mail}.",
        "Can I still move to another flight in the app? My booking is {order}.",
    ),
    "cancel_booking": (
        "Please cancel my booking {order}, when is the refund on my card?",
        "I cannot travel any more. How do I cancel the booking and get a refund?",
    ),
    "baggage": (
        "How heavy may my checked suitcase be?",
        "What does a second suitcase cost, and is a cabin bag included in the baggage allowance?",
    ),
    "lost_baggage": (
        "My suitcase did not arrive, call me on {phone}.",
        "It is still missing: the baggage tag has the number {order}, write to {mail}.",
    ),
    "delay_claim": (
        "Our flight had a delay of four hours, can we claim compensation?",
        "Where do I send the boarding pass for the compensation? My address is {mail}.",
    ),
    "seat": (
        "Can I reserve a seat with more legroom?",
        "We want a window seat and an aisle seat next to each other.",
    ),
    "check_in": (
        "When does online check-in open for {order}?",
        "The boarding pass did not come to my phone {phone} after the check-in.",
    ),
    "pets": ("May my small dog travel in the cabin?", "How large may the carrier for a cat be?"),
    "loyalty": ("My miles for the last flight are missing, the ticket number is {order}.", "When are loyalty points credited?"),
    "invoice": ("My employer needs an invoice for the paid booking.", "Can I download the receipts of booking {order} again?"),
}

_RETAIL: Final[dict[str, Wordings]] = {
    "return": (
        "I want to return an item and get my money, the order is {order}.",
        "There was no label in the parcel, how do I send the item back?",
    ),
    "track_order": (
        "Where is my parcel? The tracking number {order} does not work. I am {mail}.",
        "The tracking shows nothing since yesterday, please call {phone}.",
    ),
    "damaged": (
        "The lamp arrived broken, I have a photo.",
        "Half of the goods are damaged, can you ship a replacement to {mail}?",
    ),
    "payment": ("My voucher code is not accepted in the basket.", "Can I pay by invoice or bank transfer?"),
    "address": (
        "I gave the wrong delivery address, can it be changed?",
        "Can the address of {order} be changed before it leaves the warehouse? Call {phone}.",
    ),
    "exchange": ("Can I exchange the jacket for another size?", "The shoes are too small, is another colour possible?"),
    "cancel_order": (
        "Cancel my order {order} please, its status is processing.",
        "Cancelling one of my two orders, is that possible?",
    ),
    "warranty": (
        "The kettle is an electronic device and died, is there a warranty?",
        "I lost the invoice, what about the warranty?",
    ),
    "gift_card": ("What is the balance of my gift card?", "How long is a gift card valid?"),
    "missing_part": ("Two screws are missing in the box.", "A part is missing, the article number is {order}."),
}

_TELECOM: Final[dict[str, Wordings]] = {
    "mobile_data": (
        "No mobile data since this morning on {phone}, which access point do I set?",
        "I did restart the phone, and mobile data is enabled, but nothing loads.",
    ),
    "roaming": (
        "I am abroad, how do I enable roaming?",
        "Which packages do you have for travel to other countries?",
    ),
    "sim_locked": (
        "My SIM card is locked after a wrong PIN.",
        "Where do I find the PUK code for {phone}?",
    ),
    "bill": (
        "Why is my invoice higher than the monthly fee? Write to {mail}.",
        "The bill {order} lists calls outside the plan that I never made.",
    ),
    "slow_internet": (
        "The internet at home is slow although I did restart the router.",
        "The speed test by cable shows a tenth of what I pay for.",
    ),
    "plan_change": ("I would like to change my plan to more data volume.", "Can I take a cheaper tariff next month?"),
    "porting": ("I want to bring my number along from another provider.", "How long does porting {phone} take?"),
    "lost_phone": ("I lost my phone, block the card at once!", "When does the new card come after I had it blocked? {mail}"),
    "moving": ("We are moving, can the line come with us to the new flat?", "When should I order the transfer of the line?"),
    "contract_end": ("How do I end my contract {order}?", "I gave notice, where is the confirmation? My address is {mail}."),
}

QUESTIONS: Final = MappingProxyType({"airline": _AIRLINE, "retail": _RETAIL, "telecom": _TELECOM})
"""By tenant and intent. ``{mail}``, ``{phone}`` and ``{order}`` are filled in, so that redaction has something to do."""

ODD: Final[Wordings] = (
    "Who won yesterday's football match?",
    "Tell me a joke about robots.",
    "Was ist denn hier los?",
    "asdf jkl",
)
"""What no document answers; its intent is ``other``."""
