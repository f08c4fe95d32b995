"""What can be done to the books of `tests/billed_calls.py`, and where it must be found."""

from __future__ import annotations

from tests.billed_calls import ROOM

_LONG, _TOLD, _FREE, _PROMPT, _RUNNING = (f"{n:032x}" for n in range(1, 6))
ANY = "any"

DAMAGES: dict[str, tuple[str, ...]] = {
    "a settlement gives nothing back of its hold": (
        "held",
        "account",
        "acme",
        "UPDATE account SET held_nano = 4000 WHERE team_id = 'acme'",
    ),
    "a hold is given back twice": (
        "held",
        "account",
        "globex",
        "UPDATE account SET held_nano = 0 WHERE team_id = 'globex'",
    ),
    "a hold is gone": ("held", "budget_spend", ROOM.spend_id, "DELETE FROM hold WHERE state = 'open'"),
    "a hold was changed": ("held", "account", "globex", "UPDATE hold SET amount_nano = 1 WHERE state = 'open'"),
    "a budget holds what no call does": (
        "held",
        "budget_spend",
        "b2@0",
        "INSERT INTO budget_spend (id, budget_id, begins_us, spent, held) VALUES ('b2@0', 'b2', 0, 0, 1)",
    ),
    "a budget has forgotten a hold": ("held", "budget_spend", ROOM.spend_id, "DELETE FROM budget_spend"),
    "a hold of budgets cannot be read": (
        "budgets",
        "hold",
        _RUNNING,
        "UPDATE hold SET budgets = '[[' WHERE state = 'open'",
    ),
    "a hold of a team that has no account": (
        "held",
        "account",
        "nobody",
        "UPDATE hold SET team_id = 'nobody' WHERE state = 'open'",
    ),
    "a hold outlives its call": ("expired", "hold", _RUNNING, "UPDATE hold SET expires_us = 1 WHERE state = 'open'"),
    "a settled hold is called released": (
        "settled",
        "hold",
        _LONG,
        f"UPDATE hold SET state = 'released' WHERE call_id = '{_LONG}'",
    ),
    "a free call's hold is called settled": (
        "settled",
        "hold",
        _FREE,
        f"UPDATE hold SET state = 'settled' WHERE call_id = '{_FREE}'",
    ),
    "what is owed is forgotten": (
        "posted",
        "account",
        "acme",
        "UPDATE account SET overage_nano = overage_nano - 1 WHERE team_id = 'acme'",
    ),
    "a balance is one nano-credit too high": (
        "posted",
        "account",
        "globex",
        "UPDATE account SET posted_nano = posted_nano + 1 WHERE team_id = 'globex'",
    ),
    "an account forgets its newest journal": (
        "head",
        "account",
        "globex",
        "UPDATE account SET journals = journals - 1 WHERE team_id = 'globex'",
    ),
    "a grant has more left than its entries say": (
        "grant",
        "credit_grant",
        ANY,
        "UPDATE credit_grant SET remaining_nano = remaining_nano - 1 WHERE source_ref = 'other'",
    ),
    "a grant was made larger": (
        "grant",
        "credit_grant",
        ANY,
        "UPDATE credit_grant SET amount_nano = amount_nano + 1 WHERE source_ref = 'other'",
    ),
    "a grant is given to another team": (
        "grant",
        "entry",
        "grant:test:other",
        "UPDATE credit_grant SET team_id = 'acme' WHERE source_ref = 'other'",
    ),
    "the house names a grant": (
        "grant",
        "entry",
        "deduct:d1",
        "UPDATE entry SET grant_id = 'x' WHERE ref = 'deduct:d1' AND account = 'adjusted'",
    ),
    "a grant of nobody": (
        "orphan",
        "credit_grant",
        ANY,
        (
            "INSERT INTO credit_grant (id, team_id, category, source, source_ref, priority, amount_nano, "
            "remaining_nano, taken_back_nano, reason, effective_us, created_us) VALUES ('lone', 'nobody', "
            "'promo', 'x', 'x', 50, 1, 1, 0, '', 0, 0)"
        ),
    ),
    "what was taken back is forgotten": (
        "taken",
        "account",
        "acme",
        "UPDATE credit_grant SET taken_back_nano = 0 WHERE source_ref = 'sale'",
    ),
    "an end is forgotten, so that what has ended could be spent": (
        "expiry",
        "account",
        "globex",
        "UPDATE credit_grant SET expires_us = 1 WHERE source_ref = 'other'",
    ),
    "a journal says another reason": (
        "hash",
        "journal",
        "deduct:d1",
        "UPDATE journal SET reason = 'other' WHERE ref = 'deduct:d1'",
    ),
    "a journal is moved in time": (
        "hash",
        "journal",
        "deduct:d1",
        "UPDATE journal SET created_us = created_us - 1 WHERE ref = 'deduct:d1'",
    ),
    "an entry is changed by one nano-credit": (
        "hash",
        "journal",
        f"settle:{_LONG}",
        f"UPDATE entry SET amount_nano = amount_nano + 1 WHERE ref = 'settle:{_LONG}' AND account = 'revenue'",
    ),
    "an entry is gone": (
        "hash",
        "journal",
        f"settle:{_LONG}",
        f"DELETE FROM entry WHERE ref = 'settle:{_LONG}' AND account = 'revenue'",
    ),
    "an entry is added": (
        "hash",
        "journal",
        f"settle:{_LONG}",
        f"INSERT INTO entry (ref, n, account, amount_nano) VALUES ('settle:{_LONG}', 9, 'written_off', -1)",
    ),
    "an entry without a journal": (
        "orphan",
        "entry",
        "settle:lone/0",
        "INSERT INTO entry (ref, n, account, amount_nano) VALUES ('settle:lone', 0, 'revenue', 1)",
    ),
    "a journal is gone": (
        "seq",
        "journal",
        ANY,
        "DELETE FROM journal WHERE ref = 'deduct:d1'",
        "DELETE FROM entry WHERE ref = 'deduct:d1'",
    ),
    "the newest journal is gone": (
        "head",
        "account",
        "globex",
        "DELETE FROM journal WHERE ref = 'grant:test:more'",
        "DELETE FROM entry WHERE ref = 'grant:test:more'",
    ),
    "a journal of nobody": (
        "orphan",
        "journal",
        "x",
        (
            "INSERT INTO journal (ref, team_id, seq, kind, actor, reason, created_us, prev, hash) SELECT 'x', "
            "'nobody', 1, kind, actor, reason, created_us, prev, hash FROM journal WHERE ref = 'deduct:d1'"
        ),
    ),
    "a chain is cut": ("chain", "journal", "deduct:d1", "UPDATE journal SET prev = hash WHERE ref = 'deduct:d1'"),
    "a settlement by another name": (
        "charge",
        "journal",
        f"settle:{_LONG}",
        f"UPDATE journal SET kind = 'correct' WHERE ref = 'settle:{_LONG}'",
    ),
    "a root was changed": (
        "root",
        "ledger_root",
        ANY,
        "UPDATE ledger_root SET hash = prev WHERE day = (SELECT min(day) FROM ledger_root)",
    ),
    "a root is gone": (
        "root",
        "ledger_root",
        ANY,
        "DELETE FROM ledger_root WHERE day = (SELECT min(day) FROM ledger_root)",
    ),
    "a head of a root is gone": ("root", "ledger_root", ANY, "DELETE FROM ledger_head WHERE team_id = 'acme'"),
    "a head of a root was changed": (
        "root",
        "ledger_head",
        ANY,
        "UPDATE ledger_head SET seq = 1 WHERE team_id = 'acme'",
    ),
    "a charge is one nano-credit too high": (
        "price",
        "call",
        _LONG,
        f"UPDATE call SET charge_nano = charge_nano + 1 WHERE id = '{_LONG}'",
    ),
    "a cost is one nano-dollar too low": (
        "price",
        "call",
        _PROMPT,
        f"UPDATE call SET cost_nano = cost_nano - 1 WHERE id = '{_PROMPT}'",
    ),
    "a charge is gone": (
        "price",
        "call",
        _LONG,
        f"UPDATE call SET charge_nano = NULL, refunded_nano = 0 WHERE id = '{_LONG}'",
    ),
    "a free call is charged": ("price", "call", _FREE, f"UPDATE call SET charge_nano = 5 WHERE id = '{_FREE}'"),
    "a call used other tokens": ("price", "call", _LONG, f"UPDATE call SET output = output + 1 WHERE id = '{_LONG}'"),
    "a call was of another tier": ("price", "call", _LONG, f"UPDATE call SET price_facts = NULL WHERE id = '{_LONG}'"),
    "a tier that cannot be read": ("price", "call", _LONG, f"UPDATE call SET price_facts = '[' WHERE id = '{_LONG}'"),
    "a call is charged by another row of the policy": (
        "price",
        "call",
        _PROMPT,
        f"UPDATE call SET charged_as = 'stopped.some free' WHERE id = '{_PROMPT}'",
    ),
    "a reported cost is another": (
        "price",
        "call",
        _TOLD,
        f"UPDATE call SET provider_cost_nano = 1 WHERE id = '{_TOLD}'",
    ),
    "a call names a card that is not there": (
        "card",
        "call",
        _LONG,
        f"UPDATE call SET card_id = 'none' WHERE id = '{_LONG}'",
    ),
    "a call was another deployment's": (
        "card",
        "call",
        _LONG,
        f"UPDATE call SET deployment_id = 'other' WHERE id = '{_LONG}'",
    ),
    "a call belongs to another team": (
        "settled",
        "call",
        _LONG,
        f"UPDATE call SET team_id = 'globex' WHERE id = '{_LONG}'",
    ),
    "a charged call is gone": ("settled", "call", _TOLD, f"DELETE FROM call WHERE id = '{_TOLD}'"),
    "a charged call runs again": ("settled", "call", _TOLD, f"UPDATE call SET status = 'running' WHERE id = '{_TOLD}'"),
    "a call was charged and no journal says so": (
        "settled",
        "call",
        _TOLD,
        f"DELETE FROM journal WHERE ref = 'settle:{_TOLD}'",
        f"DELETE FROM entry WHERE ref = 'settle:{_TOLD}'",
    ),
    "a card's content was changed": (
        "card",
        "price_card",
        ANY,
        "UPDATE price_card SET content = replace(content, '1000000000', '1000000001')",
    ),
    "a card cannot be read": ("card", "price_card", ANY, "UPDATE price_card SET content = '{'"),
    "a rate's cost was changed": (
        "line",
        "price_card",
        ANY,
        "UPDATE rate SET cost_nano = cost_nano + 1 WHERE meter = 'input'",
    ),
    "a rate's price was changed": (
        "line",
        "price_card",
        ANY,
        "UPDATE rate SET price_nano = price_nano + 1 WHERE price_nano > 0",
    ),
    "a rate is gone": ("line", "price_card", ANY, "DELETE FROM rate WHERE meter = 'cache_read'"),
    "a call has had back more than its refunds": (
        "refund",
        "call",
        _LONG,
        f"UPDATE call SET refunded_nano = refunded_nano + 1 WHERE id = '{_LONG}'",
    ),
    "a call has forgotten its refunds": (
        "refund",
        "call",
        _LONG,
        f"UPDATE call SET refunded_nano = 0 WHERE id = '{_LONG}'",
    ),
    "a refund of no call": (
        "refund",
        "call",
        "none",
        "UPDATE credit_grant SET source_ref = 'none:1000' WHERE source = 'refund' AND amount_nano = 1000",
    ),
}
"""What was done → which check finds it, in which table and row, and the SQL that does it."""

REFUSED: dict[str, tuple[str, ...]] = {
    "more is taken back than was bought": (
        "UPDATE credit_grant SET taken_back_nano = amount_nano + 1 WHERE source_ref = 'sale'",
    ),
    "a grant has more left than it had": (
        "UPDATE credit_grant SET remaining_nano = amount_nano + 1 WHERE source_ref = 'other'",
    ),
    "a grant is burnt below nothing": ("UPDATE credit_grant SET remaining_nano = -1 WHERE source_ref = 'other'",),
    "less than nothing is held": ("UPDATE account SET held_nano = -1 WHERE team_id = 'acme'",),
    "less than nothing is owed": ("UPDATE account SET overage_nano = -1 WHERE team_id = 'acme'",),
    "a budget holds less than nothing": ("UPDATE budget_spend SET held = -1",),
    "a call is settled twice": (
        f"INSERT INTO journal (ref, team_id, seq, kind, actor, reason, created_us, prev, hash) SELECT ref, team_id, "
        f"99, kind, actor, reason, created_us, prev, hash FROM journal WHERE ref = 'settle:{_LONG}'",
    ),
    "a purchase is granted twice": (
        "UPDATE credit_grant SET source = 'test', source_ref = 'sale' WHERE source_ref = 'other'",
    ),
}
"""What the tables themselves do not take."""
