#!/usr/bin/env python3
"""Compares what the stores hold with the ledger of truth, row by row by content hash and sum by
sum.

    compare.py --stack stack.json --ledger DIR --report out.json
               [--kafka-lost-at T] [--postgres-lost-at T] [--bound-seconds 2]
               [--skip clickhouse|postgres]

T is the unix time taken just before the store was killed; what was acknowledged in the last
--bound-seconds before T may be missing (it counts as RPO), anything else may not. Without T nothing
may be missing. The load must have ended and the stack must be drained (drain.py).

The verdict is HOLDS (exit code 0), FAILED (1), or COULD NOT VERIFY (2). This program and the
modules it imports share nothing with Lifeboat: it is the witness.
"""

import argparse
import hashlib
import json
import sys

import ledger as ledgers
import stores

HOLDS, FAILED, COULD_NOT_VERIFY = "HOLDS", "FAILED", "COULD NOT VERIFY"
OFFENCES = ("lost", "duplicated", "changed", "extra", "half", "sums_wrong")
MOST_DETAILS = 10
# How long after a store's end an answer of its may still reach the ledger on a busy machine.
KAFKA_ANSWER_DELAY_SECONDS = 3.0
POSTGRES_ANSWER_DELAY_SECONDS = 1.0


class CouldNotVerify(Exception):
    pass


class Findings:
    """What the check of one store found. `half`: there in one place and missing in another that
    must agree."""

    def __init__(self):
        self.checked = 0
        self.sums_checked = 0
        self.counts = dict.fromkeys(OFFENCES, 0)
        self.details = {}
        self.rpo = 0
        self.oldest_missing = None

    def offend(self, kind, what, times=1):
        self.counts[kind] += times
        shown = self.details.setdefault(kind, [])
        if len(shown) < MOST_DETAILS:
            shown.append(what)

    def check_sum(self, name, key, found, expected):
        self.sums_checked += 1
        if found != expected:
            self.offend("sums_wrong", f"{name} {key}: found {found}, expected {expected}")

    def verdict(self):
        if any(self.counts.values()):
            return FAILED
        return HOLDS if self.checked and self.sums_checked else COULD_NOT_VERIFY

    def report(self, loss):
        age = 0.0
        if loss is not None and self.oldest_missing is not None:
            age = max(0.0, loss.at - self.oldest_missing)
        return {
            "verdict": self.verdict(),
            "checked": self.checked,
            **self.counts,
            "sums_checked": self.sums_checked,
            "rpo_events": self.rpo,
            "rpo_seconds": round(age, 3),
            "details": self.details,
        }


class Loss:
    """When a store was destroyed, and how much of the time before that may be missing."""

    def __init__(self, at, bound_seconds, answer_delay_seconds=POSTGRES_ANSWER_DELAY_SECONDS):
        self.at = at
        self.bound = bound_seconds
        self.last_answer = at + answer_delay_seconds

    def excuses(self, acked):
        """What was acknowledged then may be missing."""
        return self.at - self.bound <= acked <= self.last_answer


def missing(found, loss, acked, what):
    """Judges an acknowledged thing that is not there."""
    if loss is not None and acked <= loss.last_answer:
        found.rpo += 1
        found.oldest_missing = min(acked, found.oldest_missing or acked)
    if loss is None or not loss.excuses(acked):
        found.offend("lost", what)


# ---- the pipeline: Kafka to ClickHouse ---------------------------------------------------------


def epochs_before(loss, epoch_begins):
    """The producer's lives whose messages a loss of Kafka can have taken."""
    return {epoch for epoch, at in epoch_begins.items() if loss is not None and at <= loss.at}


def refuse_mixed_epochs(messages, before, loss):
    """A producer that lived through the loss would mix what was lost with what came after."""
    for seq, acked in enumerate(messages.acked):
        if acked is not None and messages.epoch[seq] in before and acked > loss.last_answer:
            raise CouldNotVerify(
                f"{messages.name}: a producer lived through the loss of Kafka (message {seq} "
                f"was acknowledged {acked - loss.at:.1f} s after it): pause the load first"
            )


def compare_sums(found, name, rows, expected):
    """`rows` and `expected`: {key: sums}."""
    for key in sorted(rows.keys() | expected.keys()):
        found.check_sum(name, key, rows.get(key), expected.get(key))


def add(sums, key, *values):
    held = sums.get(key)
    if held is None:
        sums[key] = list(values)
    else:
        for at, value in enumerate(values):
            held[at] += value


def tuples(sums):
    return {key: tuple(values) for key, values in sums.items()}


def count_rows(found, index, table, ids):
    """How often each message of the ledger is in a table, capped at 255."""
    seen = bytearray(len(index))
    for row_id in ids:
        seq = index.get(row_id)
        if seq is None:
            found.offend("extra", f"{table}: id {row_id:016x}… is not in the ledger")
        elif seen[seq] < 255:
            seen[seq] += 1
            if seen[seq] > 1:
                found.offend(
                    "duplicated", f"{table}: event {seq} (id {row_id:016x}…) is there again"
                )
    return seen


def unique_index(messages):
    index = {message_id: seq for seq, message_id in enumerate(messages.id)}
    if len(index) != len(messages):
        raise CouldNotVerify(f"{messages.name}: two messages of the ledger share an id")
    return index


def compare_events(found, events, rows, recent, sums, slow, loss, before):
    """`rows`: columns id, hash, short hash, offset; `recent`: id, short hash; `sums`: {(team, day):
    (count, amount, bytes)}; `slow`: {(team, day): (count,)} or None."""
    index = unique_index(events)
    seen = count_rows(found, index, "events", rows[0])
    seen_recent = count_rows(found, index, "events_recent", recent[0])
    found.checked += len(rows[0]) + len(recent[0])
    shorts = {}
    for row_id, row_hash, short, offset in zip(*rows):
        seq = index.get(row_id)
        if seq is None:
            continue
        shorts[row_id] = short
        if row_hash != events.hash[seq]:
            found.offend("changed", f"events: event {seq} (id {row_id:016x}…) has other content")
        # A Kafka that came back may have given new offsets to what was not yet consumed.
        elif (
            offset != events.offset[seq]
            and events.acked[seq] is not None
            and events.epoch[seq] not in before
        ):
            found.offend(
                "changed", f"events: event {seq} says offset {offset}, it is {events.offset[seq]}"
            )
    for row_id, short in zip(*recent):
        if shorts.get(row_id, short) != short:
            found.offend("changed", f"events_recent: id {row_id:016x}… differs from events")
    expected, expected_slow = {}, {}
    for seq, acked in enumerate(events.acked):
        if bool(seen[seq]) != bool(seen_recent[seq]):
            found.offend(
                "half", f"event {seq} is in {'events' if seen[seq] else 'events_recent'} alone"
            )
        if not (seen[seq] and seen_recent[seq]) and acked is not None:
            missing(
                found,
                loss if events.epoch[seq] in before else None,
                acked,
                f"event {seq} (partition {events.partition[seq]}, offset {events.offset[seq]})",
            )
        if seen[seq]:
            key = (events.team[seq], events.day[seq])
            add(expected, key, 1, events.amount[seq], events.property_bytes[seq])
            add(expected_slow, key, 1)
    compare_sums(found, "events_by_day", sums, tuples(expected))
    if slow is not None:
        compare_sums(found, "events_slow", slow, tuples(expected_slow))


def compare_persons(found, persons, rows, loss, before):
    """`rows`: columns id, version, hash, offset. A person's older versions may have been merged
    away; the newest one that survived may not: so the last row of a partition shows how far its log
    came through."""
    index = {key: seq for seq, key in enumerate(zip(persons.id, persons.version))}
    if len(index) != len(persons):
        raise CouldNotVerify("persons: the ledger holds one version twice")
    present, newest = set(), {}
    found.checked += len(rows[0])
    for row_id, version, row_hash, offset in zip(*rows):
        seq = index.get((row_id, version))
        if seq is None:
            found.offend("extra", f"persons: {row_id:016x}… version {version} is not in the ledger")
            continue
        if seq in present:
            found.offend("duplicated", f"persons: {row_id:016x}… version {version} is there again")
        present.add(seq)
        newest[row_id] = max(version, newest.get(row_id, 0))
        if row_hash != persons.hash[seq]:
            found.offend("changed", f"persons: {row_id:016x}… version {version} has other content")
        elif (
            offset != persons.offset[seq]
            and persons.acked[seq] is not None
            and persons.epoch[seq] not in before
        ):
            found.offend(
                "changed",
                f"persons: {row_id:016x}… says offset {offset}, it is {persons.offset[seq]}",
            )
    for seq, acked in enumerate(persons.acked):
        # A newer row of the same person explains the absence; a hole in the middle of a log shows
        # elsewhere.
        if acked is None or newest.get(persons.id[seq], 0) >= persons.version[seq]:
            continue
        missing(
            found,
            loss if persons.epoch[seq] in before else None,
            acked,
            f"person {persons.id[seq]:016x}… version {persons.version[seq]} (partition "
            f"{persons.partition[seq]}, offset {persons.offset[seq]})",
        )


def replay_survivors(found, replay, counts, loss, before):
    """Which messages the sums hold, as far as the numbers of messages tell. `counts`: {session:
    messages}."""
    survivors = []
    for (partition, epoch), order in replay.in_log_order().items():
        if epoch in before:
            survivors += surviving_prefix(
                found, replay, counts, order, loss, f"partition {partition}"
            )
        else:
            survivors += surviving_by_session(found, replay, counts, order)
    return survivors


def surviving_prefix(found, replay, counts, order, loss, name):
    """Of a log that was lost and came back, what survives is its beginning."""
    length = sum(counts.get(session, 0) for session in {replay.id[seq] for seq in order})
    if length > len(order):
        found.offend(
            "duplicated",
            f"session_replay: {name} holds {length} messages of {len(order)}",
            length - len(order),
        )
    for seq in order[length:]:
        if replay.acked[seq] is not None:
            missing(
                found,
                loss,
                replay.acked[seq],
                f"replay message {seq} ({name}, offset {replay.offset[seq]})",
            )
    return order[:length]


def surviving_by_session(found, replay, counts, order):
    """Of a log that was not lost, all that was acknowledged survives, and of what is in doubt the
    beginning."""
    sessions = {}
    for seq in order:
        sessions.setdefault(replay.id[seq], []).append(seq)
    survivors = []
    for session, seqs in sessions.items():
        sure = [seq for seq in seqs if replay.acked[seq] is not None]
        doubt = [seq for seq in seqs if replay.acked[seq] is None]
        count = counts.get(session, 0)
        if count < len(sure):
            found.offend(
                "lost",
                f"session_replay: {session:016x}… holds {count} messages of {len(sure)}",
                len(sure) - count,
            )
        elif count > len(seqs):
            found.offend(
                "duplicated",
                f"session_replay: {session:016x}… holds {count} messages of {len(seqs)}",
                count - len(seqs),
            )
        survivors += sure + doubt[: max(0, count - len(sure))]
    return survivors


def compare_replay(found, replay, rows, by_team, loss, before):
    """`rows`: columns session, team, first_ms, last_ms, clicks, keys, size, count; `by_team`:
    {(team, day): (clicks, size, count)}."""
    known = set(replay.id)
    sessions = {}
    for session, *sums in zip(*rows):
        if session not in known:
            found.offend("extra", f"session_replay: {session:016x}… is not in the ledger")
        if session in sessions:
            raise CouldNotVerify(f"session_replay: {session:016x}… belongs to two teams")
        sessions[session] = tuple(sums)
    found.checked += len(sessions)
    counts = {session: sums[6] for session, sums in sessions.items()}
    expected, expected_teams = {}, {}
    for seq in replay_survivors(found, replay, counts, loss, before):
        team, first, last = replay.team[seq], replay.first_ms[seq], replay.last_ms[seq]
        clicks, keys, size = replay.clicks[seq], replay.keys[seq], replay.size[seq]
        held = expected.get(replay.id[seq])
        if held:
            held[1], held[2] = min(held[1], first), max(held[2], last)
            held[3:] = [held[3] + clicks, held[4] + keys, held[5] + size, held[6] + 1]
        else:
            expected[replay.id[seq]] = [team, first, last, clicks, keys, size, 1]
        add(expected_teams, (team, replay.day[seq]), clicks, size, 1)
    compare_sums(
        found,
        "session_replay",
        {f"{s:016x}…": v for s, v in sessions.items()},
        {f"{s:016x}…": tuple(v) for s, v in expected.items()},
    )
    compare_sums(found, "session_replay_by_team", by_team, tuples(expected_teams))


SHORT = (
    "concat(toString(uuid), '|', toString(team_id), '|', toString(event), '|', distinct_id, '|', "
    "toString(toUnixTimestamp64Milli(timestamp)), '|', toString(toUnixTimestamp(_timestamp))"
)


def check_clickhouse(clickhouse, ledger, loss):
    for messages in (ledger.events, ledger.persons, ledger.replay):
        if not any(acked is not None for acked in messages.acked):
            raise CouldNotVerify(f"the ledger holds no acknowledged message of {messages.name}")
    before = epochs_before(loss, ledger.epoch_begins)
    if loss is not None and not before:
        raise CouldNotVerify("no producer had begun when Kafka was lost")
    for messages in (ledger.events, ledger.persons, ledger.replay):
        if loss is not None:
            refuse_mixed_epochs(messages, before, loss)
    found = Findings()
    rows = clickhouse.columns(
        f"SELECT uuid, xxHash64({SHORT}, '|', properties)), "
        f"xxHash64({SHORT}, '|', toString(_offset))), _offset "
        "FROM posthog.events",
        "QQQQQ",
    )
    recent = clickhouse.columns(
        f"SELECT uuid, xxHash64({SHORT}, '|', toString(_offset))) FROM posthog.events_recent", "QQQ"
    )
    sums = clickhouse.rows(
        "SELECT team_id, toUInt32(day), sum(event_count), sum(amount), sum(property_bytes) "
        "FROM posthog.events_by_day GROUP BY team_id, day"
    )
    slow = None
    if clickhouse.has("events_slow"):
        slow = by_team_and_day(
            clickhouse.rows(
                "SELECT team_id, toUInt32(day), sum(event_count) "
                "FROM posthog.events_slow GROUP BY team_id, day"
            )
        )
    compare_events(
        found,
        ledger.events,
        [rows[0], *rows[2:]],
        [recent[0], recent[2]],
        by_team_and_day(sums),
        slow,
        loss,
        before,
    )
    rows = clickhouse.columns(
        "SELECT id, version, "
        "xxHash64(concat(toString(id), '|', toString(team_id), '|', toString(version), '|', "
        "toString(is_identified), '|', toString(toUnixTimestamp64Milli(created_at)), '|', "
        "toString(toUnixTimestamp(_timestamp)), '|', toString(_partition), '|', properties)), "
        "_offset "
        "FROM posthog.persons",
        "QQQQQ",
    )
    compare_persons(found, ledger.persons, [rows[0], *rows[2:]], loss, before)
    rows = clickhouse.columns(
        "SELECT session_id, team_id, toUnixTimestamp64Milli(min(min_first_timestamp)), "
        "toUnixTimestamp64Milli(max(max_last_timestamp)), "
        "sum(click_count), sum(keypress_count), sum(size), "
        "sum(message_count) FROM posthog.session_replay GROUP BY session_id, team_id",
        "QQqqqqqqq",
    )
    teams = clickhouse.rows(
        "SELECT team_id, toUInt32(day), sum(click_count), sum(size), sum(message_count) "
        "FROM posthog.session_replay_by_team GROUP BY team_id, day"
    )
    compare_replay(found, ledger.replay, [rows[0], *rows[2:]], by_team_and_day(teams), loss, before)
    return found


def by_team_and_day(rows):
    return {(row[0], row[1]): row[2:] for row in rows}


# ---- PostgreSQL --------------------------------------------------------------------------------


def by_transaction(found, table, rows):
    """{tx_id: the other columns}; a primary key that is there twice is a broken index."""
    held = {}
    for tx_id, *values in rows:
        if int(tx_id) in held:
            found.offend("duplicated", f"{table}: transaction {tx_id} is there again")
        held[int(tx_id)] = values
    return held


def content_hash(tx_id, user, key, change):
    """As the load computes it, from the rows; None when the rows contradict each other."""
    user_id, team, email, name = user
    key_id, key_user, key_team, secret = key
    flag, _, rollout = change
    if not user_id == key_id == key_user == str(tx_id) or team != key_team:
        return None
    text = "|".join((str(tx_id), team, email, name, secret, flag, rollout))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def compare_transaction(found, loss, tx_id, told, user, key, change, tx):
    """`told`: the ledger's (state, answered, hash); the rest are rows or None."""
    state, answered, told_hash = told
    there = [row is not None for row in (user, key, change, tx)]
    if any(there) and not all(there):
        names = [
            name
            for name, is_there in zip(
                ("users", "api_keys", "feature_flag_changes", "load_tx"), there
            )
            if is_there
        ]
        found.offend("half", f"transaction {tx_id} is only in {', '.join(names)}")
    elif all(there) and state == ledgers.ABSENT:
        found.offend("extra", f"transaction {tx_id} was rolled back and is there")
    elif all(there):
        if content_hash(tx_id, user, key, change) != told_hash or int(tx[0], 16) != told_hash:
            found.offend("changed", f"transaction {tx_id} has other content")
    elif state == ledgers.COMMITTED:
        missing(found, loss, answered, f"transaction {tx_id}")


def compare_flags(found, flags, changes):
    """A flag has one change for each of its versions, and stands where the last one left it."""
    made = {}
    for flag, version, rollout in changes:
        made.setdefault(int(flag), []).append((int(version), int(rollout)))
    for flag, version, rollout in flags:
        history = sorted(made.pop(int(flag), []))
        found.check_sum(
            "feature_flags",
            f"{flag} versions",
            [v for v, _ in history],
            list(range(1, int(version) + 1)),
        )
        found.check_sum(
            "feature_flags", f"{flag} rollout", int(rollout), history[-1][1] if history else 0
        )
    for flag in made:
        found.offend("extra", f"feature_flag_changes speak of flag {flag}, which is not there")


def compare_teams(found, teams, users):
    members = {}
    for row in users:
        members[int(row[2])] = members.get(int(row[2]), 0) + 1
    expected = {
        n: (f"team {n}", f"phc_{hashlib.md5(f'team {n}'.encode()).hexdigest()}", members.get(n, 0))
        for n in range(1, 21)
    }
    compare_sums(found, "teams", {int(t[0]): (t[1], t[2], int(t[3])) for t in teams}, expected)


def compare_postgres(found, transactions, tables, loss):
    """`tables`: {name: rows of texts}, columns as in POSTGRES_TABLES."""
    held = {
        name: by_transaction(found, name, tables[name])
        for name in ("users", "api_keys", "feature_flag_changes", "load_tx")
    }
    for tx_id, told in transactions.by_id.items():
        compare_transaction(found, loss, tx_id, told, *(rows.get(tx_id) for rows in held.values()))
    for name, rows in held.items():
        for tx_id in rows.keys() - transactions.by_id.keys():
            found.offend("extra", f"{name}: transaction {tx_id} is not in the ledger")
    found.checked += len(held["load_tx"])
    compare_flags(
        found, tables["feature_flags"], [row[1:] for row in tables["feature_flag_changes"]]
    )
    compare_teams(found, tables["teams"], tables["users"])


POSTGRES_TABLES = {
    "users": "tx_id, id, team_id, email, name",
    "api_keys": "tx_id, id, user_id, team_id, secure_value",
    "feature_flag_changes": "tx_id, flag_id, version, rollout",
    "load_tx": "tx_id, content_hash",
    "feature_flags": "id, version, rollout",
    "teams": "id, name, api_token, member_count",
}


def check_postgres(postgres, ledger, loss):
    if not any(state == ledgers.COMMITTED for state, _, _ in ledger.transactions.by_id.values()):
        raise CouldNotVerify("the ledger holds no acknowledged transaction")
    tables = {
        name: postgres.rows(f"SELECT {columns} FROM {name}")
        for name, columns in POSTGRES_TABLES.items()
    }
    found = Findings()
    compare_postgres(found, ledger.transactions, tables, loss)
    return found


# ---- all together ------------------------------------------------------------------------------


def overall(verdicts):
    if FAILED in verdicts:
        return FAILED
    return HOLDS if verdicts and all(verdict == HOLDS for verdict in verdicts) else COULD_NOT_VERIFY


def could_not(reason):
    return {"verdict": COULD_NOT_VERIFY, "reason": str(reason)}


def compare(
    stack, ledger_folder, kafka_lost_at=None, postgres_lost_at=None, bound_seconds=2.0, skip=()
):
    """The report: {"verdict", "stores": {name: {...}}}."""
    checks = {
        "clickhouse": (
            check_clickhouse,
            stores.ClickHouse,
            kafka_lost_at,
            KAFKA_ANSWER_DELAY_SECONDS,
        ),
        "postgres": (
            check_postgres,
            stores.Postgres,
            postgres_lost_at,
            POSTGRES_ANSWER_DELAY_SECONDS,
        ),
    }
    report = {}
    try:
        ledger = ledgers.Ledger(ledger_folder)
    except ledgers.LedgerError as error:
        return {"verdict": COULD_NOT_VERIFY, "reason": str(error), "stores": {}}
    for name, (check, connect, lost_at, delay) in checks.items():
        if name in skip:
            continue
        loss = None if lost_at is None else Loss(lost_at, bound_seconds, delay)
        try:
            report[name] = check(connect(stack), ledger, loss).report(loss)
        except (CouldNotVerify, stores.StoreUnreachable, KeyError, ValueError) as error:
            report[name] = could_not(error if str(error) else repr(error))
    return {"verdict": overall([store["verdict"] for store in report.values()]), "stores": report}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stack", required=True)
    parser.add_argument("--ledger", required=True)
    parser.add_argument("--report")
    parser.add_argument("--kafka-lost-at", type=float, metavar="T")
    parser.add_argument("--postgres-lost-at", type=float, metavar="T")
    parser.add_argument("--bound-seconds", type=float, default=2.0)
    parser.add_argument("--skip", action="append", default=[], choices=["clickhouse", "postgres"])
    arguments = parser.parse_args()
    with open(arguments.stack, encoding="utf-8") as file:
        stack = json.load(file)
    report = compare(
        stack,
        arguments.ledger,
        arguments.kafka_lost_at,
        arguments.postgres_lost_at,
        arguments.bound_seconds,
        arguments.skip,
    )
    text = json.dumps(report, indent=1)
    if arguments.report:
        with open(arguments.report, "w", encoding="utf-8") as file:
            file.write(text + "\n")
    print(text)
    return {HOLDS: 0, FAILED: 1}.get(report["verdict"], 2)


if __name__ == "__main__":
    sys.exit(main())
