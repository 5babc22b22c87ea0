"""Help documents of three fictitious companies."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

_AIRLINE: Final = (
    "Changing a flight: a booking can be moved to another date or flight until two hours before departure, in the app.",
    "Cancelling a booking: cancel before check-in closes, and the refund goes back to the card within ten working days.",
    "Baggage allowance: one cabin bag and one checked suitcase of 23 kilograms are included; heavier ones cost extra.",
    "Missing baggage: report a lost or delayed suitcase at the airport desk and keep the number on the tag.",
    "Choosing a seat: reserve a window, an aisle or more legroom for a fee until check-in closes.",
    "Travelling with children: a pram travels free, and a child under two shares a seat with an adult.",
    "Flight delay: after three hours passengers may claim compensation with the booking code and the boarding pass.",
    "Special meals: vegetarian, kosher and gluten free meals are ordered one day before departure.",
    "Online check-in: it opens 30 hours before departure; the boarding pass comes to the phone.",
    "Pets on board: a small dog or cat travels in the cabin in a soft carrier, larger animals in the hold.",
    "Loyalty points: miles are credited within five days; a missing flight is claimed with the ticket number.",
    "Correcting a name: a misspelled passenger name is corrected free of charge, a different person needs a new ticket.",
    "Wheelchair assistance: order help at the airport two days ahead; the wheelchair itself flies free.",
    "Receipts: an invoice for the employer can be downloaded for every paid booking for eighteen months.",
)

_RETAIL: Final = (
    "Returning an item: send it back within thirty days with the label from the parcel, and the money follows in a week.",
    "Tracking a parcel: the tracking number in the shipping mail shows where the order is; it works after one day.",
    "Damaged goods: send a photo of what arrived broken or damaged, and a replacement is shipped at once.",
    "Payment methods: pay by card, bank transfer or invoice; a voucher code is entered in the basket before paying.",
    "Changing a delivery address: possible in the account until the parcel has left the warehouse.",
    "Exchanging a size: clothes and shoes are exchanged for another size or colour free of charge.",
    "Warranty: electronic devices carry two years of warranty; keep the invoice and the serial number.",
    "Cancelling an order: an order can be cancelled while its status is still processing.",
    "Gift cards: a gift card is valid for three years, and its balance is shown under payment in the account.",
    "Out of stock: leave an address on the product page, and a message comes when the item is available again.",
    "Missing parts: when screws or a part are missing in the box, order them free with the article number.",
    "Large furniture: two people carry it into the room, and a delivery slot of four hours is agreed by phone.",
    "Forgotten password: the login page sends a link to set a new password; it works for one hour.",
    "Newsletter: unsubscribe with the link at the end of each newsletter; it takes two days.",
)

_TELECOM: Final = (
    "No mobile data: check that mobile data is enabled, restart the phone and set the access point anew.",
    "Roaming abroad: enable roaming in the settings; packages for travel to other countries are bought in the app.",
    "Locked SIM card: three wrong PIN entries lock it, and the PUK code in the account unlocks it.",
    "Slow internet at home: restart the router, use a cable and run the speed test at two different hours.",
    "Understanding the bill: the invoice lists the monthly fee, calls outside the plan and packages that were booked.",
    "Changing the plan: a tariff can be changed each month, and more data volume added at any time.",
    "Picture messages fail: MMS needs mobile data and the correct address of the messaging centre.",
    "Moving house: order the transfer of the line to the new flat four weeks before the move.",
    "Bringing a number along: porting a number from another provider takes three days and is free.",
    "Lost phone: block the card at once in the app or by the hotline; a new one comes within two days.",
    "Voicemail: switch the mailbox off or change its greeting by dialling the mailbox from the phone.",
    "Ending the contract: a contract ends one month after notice, and a confirmation is sent by letter.",
    "Outages: planned work and faults of the network are shown on the map by postcode.",
    "Paying late: an open amount can be paid in three instalments; ask before the second reminder.",
)

DOCUMENTS: Final = MappingProxyType({"airline": _AIRLINE, "retail": _RETAIL, "telecom": _TELECOM})
"""By tenant."""
