"""What a call that has ended comes to: its cost, its charge, and by which row of the policy."""

from __future__ import annotations

import structlog
from msgspec import Struct
from msgspec.structs import replace

from app.base.usage import Usage, UsageSource
from app.base.writer import Step
from app.domain.catalog import cards, cards_store, policy
from app.domain.catalog.cards import Card, Facts
from app.domain.catalog.policy import Ended
from app.gateway.course import Course
from app.wire import tiers

_DRIFT_PERCENT = 1

_log = structlog.stdlib.get_logger(__name__)


class Priced(Struct, frozen=True, kw_only=True):
    """Names and units as in `Call`. All None where the hub's billing is off."""

    card: Card | None = None
    facts: Facts | None = None
    charged_as: str | None = None
    cost_nano: int | None = None
    charge_nano: int | None = None

    @property
    def card_id(self) -> str | None:
        return None if self.card is None else self.card.id

    @property
    def price_facts(self) -> str | None:
        return None if self.facts is None or self.card is None else cards.facts_json(self.facts)


def chargeable(course: Course, usage: Usage, source: UsageSource) -> tuple[Usage, UsageSource]:
    """The usage, if it can be charged; else what the call was let in for: what has no price is not free.

    So a provider that suddenly counts in units that its rates do not know loses nobody any credits.
    """
    bill, candidate = course.bill, course.candidate
    card = bill.cards.get(candidate.route.id) if candidate is not None else None
    if not bill.charges or card is None or not bill.is_held or source in ("none", "reported_cost"):
        return usage, source
    if cards.charge(card, usage, bill.facts) is not None:
        return usage, source
    _log.error("call.unpriced", call=course.id, deployment=card.deployment_id, usage=usage)
    return bill.forecast, "hold"


def price(course: Course, usage: Usage, source: UsageSource, reported_nano: int | None) -> Priced:
    """`reported_nano` is what the provider itself says that the call costs, in nano-USD."""
    bill, candidate = course.bill, course.candidate
    if bill.billing == "off":
        return Priced()
    facts = bill.facts
    served = course.outcome.service_tier
    if served is not None:
        # Who asks for a dear tier and is served as usual pays as usual.
        facts = replace(facts, service_tier=None if served == tiers.USUAL else served)
    card = bill.cards.get(candidate.route.id) if candidate is not None else None
    ruling = policy.outcome(bill.policy, _ended(course, usage), is_something_delivered=_is_delivered(course, usage))
    charged = policy.charged(usage, ruling.action)
    if source == "none":
        return Priced(
            card=card, facts=facts, charged_as=ruling.said, cost_nano=0, charge_nano=0 if bill.charges else None
        )
    if source == "reported_cost" and reported_nano is not None:
        cost: int | None = reported_nano
        charge = cards.charge_of_cost(card, reported_nano) if card is not None and charged is not None else 0
    else:
        cost = cards.cost(card, usage, facts) if card is not None else None
        charge = cards.charge(card, charged, facts) if card is not None and charged is not None else 0
    return Priced(
        card=card,
        facts=facts,
        charged_as=ruling.said,
        cost_nano=cost,
        charge_nano=(charge or 0) if bill.charges else None,
    )


def card_steps(course: Course, card: Card | None) -> list[Step]:
    """The card's row, the first time that this process uses it."""
    known = course.shared.known_cards
    if card is None or card.id in known:
        return []
    known.add(card.id)
    return [cards_store.keep(card, course.started_us)]


def has_drifted(cost_nano: int | None, reported_nano: int | None) -> bool:
    """Whether provider and rates are further apart than they may be. One that is charged nothing says nothing."""
    if not cost_nano or not reported_nano:
        return False
    return abs(cost_nano - reported_nano) * 100 > _DRIFT_PERCENT * reported_nano


def _ended(course: Course, usage: Usage) -> Ended:
    bill, outcome = course.bill, course.outcome
    if bill.is_cut or (bill.most_output is not None and policy.is_too_long(outcome.finish_reason)):
        return "out_of_credit"
    if course.is_client_gone or course.stop_reason == "client_gone":
        return "client_gone"
    if course.stop_reason in ("interrupted", "total"):
        return "stopped"
    if course.error is not None:
        return "failed"
    if policy.is_refusal(outcome.finish_reason):
        return "refused"
    if course.request.endpoint.task == "conversation" and not _is_delivered(course, usage):
        return "empty"
    return "completed"


def _is_delivered(course: Course, usage: Usage) -> bool:
    outcome = course.outcome
    if usage.output or usage.audio_out or usage.images or usage.seconds or outcome.characters or outcome.items:
        return True
    if outcome.count_characters is not None and outcome.count_characters():
        return True
    # Vectors, moderation, sound: an answer that is there is something.
    return course.error is None and course.request.endpoint.task != "conversation"
