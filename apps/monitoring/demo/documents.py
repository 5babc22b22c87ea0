"""Help documents of three fictitious companies, and what their customers ask."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

DOCUMENTS: Final = MappingProxyType(
    {
        "airline": (
            "Changing a flight: a booking can be moved to another date or flight until two hours before departure.",
            "Cancelling a booking: a refund goes back to the card that paid within ten working days.",
            "Baggage allowance: one cabin bag and one checked suitcase of 23 kilograms are included.",
            "Delayed or lost suitcase: report missing baggage at the airport desk and keep the tag number.",
            "Choosing a seat: seats with more legroom can be reserved for a fee in the app.",
            "Travelling with children: a pram travels free, and a child under two shares a seat.",
            "Flight delay: after three hours of delay passengers may claim compensation with the booking code.",
            "Special meals: vegetarian and gluten free meals are ordered one day before departure.",
        ),
        "retail": (
            "Returning an item: send it back within thirty days with the label in the parcel for a refund.",
            "Tracking a parcel: the tracking number in the shipping mail shows where the order is.",
            "Damaged goods: send a photo of the damaged item and a replacement is shipped at once.",
            "Payment methods: card, bank transfer and invoice; a voucher code is entered in the basket.",
            "Changing a delivery address: possible until the parcel has left the warehouse.",
            "Exchanging a size: exchange clothes for another size or colour free of charge.",
            "Warranty: electronic devices carry a warranty of two years; keep the invoice.",
            "Cancelling an order: orders can be cancelled while the status is processing.",
        ),
        "telecom": (
            "No mobile data: check that mobile data is enabled and restart the phone with the right access point.",
            "Roaming abroad: enable roaming in the settings; packages for travel abroad are bought in the app.",
            "SIM card locked: three wrong PIN entries lock the SIM, and the PUK code unlocks it.",
            "Slow internet at home: restart the router and run the speed test by cable.",
            "Understanding the bill: the invoice lists the monthly fee, calls outside the plan and packages.",
            "Changing the plan: a plan can be changed each month, and data volume upgraded at any time.",
            "Picture messages fail: MMS needs mobile data and the correct messaging centre address.",
            "Moving house: order the transfer of the line four weeks before the move.",
        ),
    }
)
"""By tenant."""

QUESTIONS: Final = MappingProxyType(
    {
        "airline": (
            ("change_flight", "I need to move my flight to another date, my booking is under {mail}."),
            ("refund", "Please cancel my booking, when is the refund on my card?"),
            ("baggage", "How heavy may my checked suitcase be?"),
            ("lost_baggage", "My suitcase did not arrive, call me on {phone}."),
            ("delay_claim", "Our flight had a delay of four hours, can we claim compensation?"),
            ("seat", "Can I reserve a seat with more legroom?"),
        ),
        "retail": (
            ("return", "I want to return an item and get a refund."),
            ("track_order", "Where is my parcel? The tracking number does not work. I am {mail}."),
            ("damaged", "The item arrived damaged, I have a photo."),
            ("payment", "My voucher code is not accepted in the basket."),
            ("exchange", "Can I exchange the jacket for another size?"),
            ("cancel_order", "Cancel my order please, its status is processing."),
        ),
        "telecom": (
            ("mobile_data", "My mobile data does not work since this morning, my number is {phone}."),
            ("roaming", "I am abroad, how do I enable roaming?"),
            ("sim_locked", "My SIM card is locked after a wrong PIN, I need the PUK code."),
            ("bill", "Why is my invoice higher than my monthly fee? Write to {mail}."),
            ("slow_internet", "The internet at home is slow although I restarted the router."),
            ("plan_change", "I would like to change my plan to more data volume."),
        ),
    }
)
"""By tenant: intents and how they are put."""

ODD_QUESTION: Final = "Zzyx qwv?"
"""Something that no document answers."""
