"""The witness must catch every kind of planted loss: a comparison that cannot fail proves nothing.

python3 -m unittest discover -s tests/drills
"""

import array
import hashlib
import json
import os
import struct
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "drills"))

import compare  # noqa: E402
import ledger as ledgers  # noqa: E402

T0 = 1_700_000_000.0  # when the first message was sent; one follows every 10 ms
LIFE = 100  # messages of each topic in one life of the producer
SESSIONS = 7
PERSONS = 9


def write_records(folder, name, size, records):
    with open(os.path.join(folder, name), "wb") as file:
        file.write(struct.pack("<8sII", b"LBLEDGER", 1, size))
        file.writelines(records)


class World:
    """A ledger of two lives of the producer, and stores that hold exactly what it says."""

    def __init__(self, folder, doubtful=()):
        """`doubtful`: seqs of every topic that were never answered."""
        self.folder = folder
        self.doubtful = set(doubtful)
        self.counts = {}
        self._messages(
            "events",
            64,
            lambda n: struct.pack(
                "<QQQIIiI", n + 1000, 7, n + 5000, 1, 19000 + n % 3, n - 50, 200 + n
            ),
        )
        self._messages(
            "persons",
            64,
            lambda n: struct.pack("<QQQQQ", self.person(n), 7, n + 6000, self.version(n), 1),
        )
        self._messages(
            "replay",
            80,
            lambda n: struct.pack(
                "<QQqqqIIQ",
                self.session(n),
                7,
                n * 10,
                n * 10 + 5,
                n * 1000 + 1,
                n,
                n * 2,
                19000 + n % 2,
            ),
        )
        self._transactions()
        with open(os.path.join(folder, "journal.jsonl"), "w", encoding="utf-8") as file:
            for line in (
                {"at": T0 - 1, "what": "producer begins", "epoch": 0},
                {"at": T0 + LIFE / 100 + 10, "what": "producer begins", "epoch": 1},
                {"at": T0 + 100, "what": "closed", "records": self.counts},
            ):
                file.write(json.dumps(line) + "\n")
        self.ledger = ledgers.Ledger(folder)
        self.lost_at = T0 + LIFE / 100  # the first life ends with Kafka

    @staticmethod
    def person(n):
        return 2000 + n // LIFE * 500 + n % LIFE % PERSONS

    @staticmethod
    def version(n):
        return n % LIFE // PERSONS + 1

    @staticmethod
    def session(n):
        return 3000 + n // LIFE * 500 + n % LIFE % SESSIONS

    @staticmethod
    def partition(name, n):
        if name == "events":
            return n % 4
        return (World.person(n) if name == "persons" else World.session(n)) % 2

    @staticmethod
    def acked(n):
        return T0 + n / 100 + (n >= LIFE) * 11

    def _messages(self, name, size, own):
        sent, answers, ends = [], [], {}
        for n in range(2 * LIFE):
            partition = self.partition(name, n)
            offset = ends.get(partition, 0)
            ends[partition] = offset + 1
            when = int(self.acked(n) * 1e6)
            sent.append(
                struct.pack(
                    "<QQHHI",
                    n,
                    when,
                    partition,
                    n // LIFE,
                    n % 5 if name != "replay" else self.session(n) % 5,
                )
                + own(n)
            )
            if n not in self.doubtful:
                answers.append(struct.pack("<QQqHHI", n, when, offset, partition, 0, 0))
        write_records(self.folder, name + ".sent", size, sent)
        write_records(self.folder, name + ".answers", 32, answers)
        self.counts[name + ".sent"], self.counts[name + ".answers"] = len(sent), len(answers)

    def _transactions(self):
        self.tables = {name: [] for name in compare.POSTGRES_TABLES}
        self.tables["teams"] = [
            [str(n), f"team {n}", "phc_" + hashlib.md5(f"team {n}".encode()).hexdigest(), "0"]
            for n in range(1, 21)
        ]
        self.tables["feature_flags"] = [[str(n), "0", "0"] for n in range(1, 4)]
        records = []
        for tx in range(50):
            team, flag, rollout = tx % 20 + 1, tx % 3 + 1, tx % 101
            text = f"{tx}|{team}|e{tx}|n{tx}|s{tx}|{flag}|{rollout}"
            digest = hashlib.sha256(text.encode()).hexdigest()[:16]
            state = {10: ledgers.ABSENT, 20: ledgers.IN_DOUBT}.get(tx, ledgers.COMMITTED)
            when = int((T0 + tx / 10) * 1e6)
            for each in (ledgers.BEGUN, state):
                records.append(struct.pack("<QQIIQ", tx, when, each, 0, int(digest, 16)))
            if state == ledgers.COMMITTED:
                self.write_transaction(tx, team, flag, rollout, digest)
        write_records(self.folder, "transactions", 32, records)
        self.counts["transactions"] = len(records)

    def write_transaction(self, tx, team, flag, rollout, digest):
        a_flag, a_team = self.tables["feature_flags"][flag - 1], self.tables["teams"][team - 1]
        a_flag[1:] = [str(int(a_flag[1]) + 1), str(rollout)]
        a_team[3] = str(int(a_team[3]) + 1)
        self.tables["users"].append([str(tx), str(tx), str(team), f"e{tx}", f"n{tx}"])
        self.tables["api_keys"].append([str(tx), str(tx), str(tx), str(team), f"s{tx}"])
        self.tables["feature_flag_changes"].append([str(tx), str(flag), a_flag[1], str(rollout)])
        self.tables["load_tx"].append([str(tx), digest])

    # What ClickHouse holds, made from the seqs that are in it.

    def events(self, seqs):
        e = self.ledger.events
        rows = [[e.id[n], e.hash[n], e.hash[n] + 1, max(0, e.offset[n])] for n in seqs]
        recent = [[e.id[n], e.hash[n] + 1] for n in seqs]
        sums = {}
        for n in seqs:
            compare.add(sums, (e.team[n], e.day[n]), 1, e.amount[n], e.property_bytes[n])
        return rows, recent, compare.tuples(sums)

    def persons(self, seqs, merged=True):
        p = self.ledger.persons
        newest = {p.id[n]: n for n in seqs}
        return [
            [p.id[n], p.version[n], p.hash[n], max(0, p.offset[n])]
            for n in (newest.values() if merged else seqs)
        ]

    def replay(self, seqs):
        r = self.ledger.replay
        sessions, teams = {}, {}
        for n in seqs:
            row = sessions.setdefault(r.id[n], [r.team[n], r.first_ms[n], r.last_ms[n], 0, 0, 0, 0])
            row[1], row[2] = min(row[1], r.first_ms[n]), max(row[2], r.last_ms[n])
            for at, value in enumerate((r.clicks[n], r.keys[n], r.size[n], 1)):
                row[3 + at] += value
            compare.add(teams, (r.team[n], r.day[n]), r.clicks[n], r.size[n], 1)
        return [[session, *row] for session, row in sessions.items()], compare.tuples(teams)


def columns(rows, width):
    return list(zip(*rows)) if rows else [()] * width


class Case(unittest.TestCase):
    doubtful = ()

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.world = World(self.folder.name, self.doubtful)
        self.found = compare.Findings()

    def loss(self, bound=0.205):
        loss = compare.Loss(self.world.lost_at, bound)
        return loss, compare.epochs_before(loss, self.world.ledger.epoch_begins)

    def offences(self):
        return {kind: count for kind, count in self.found.counts.items() if count}

    def holds(self):
        self.assertEqual(self.found.verdict(), compare.HOLDS, self.found.details)


class EventsTest(Case):
    doubtful = (17, 150)

    def setUp(self):
        super().setUp()
        self.there = [n for n in range(2 * LIFE) if n not in self.doubtful]
        self.rows, self.recent, self.sums = self.world.events(self.there)
        self.slow = None

    def check(self, loss=None, before=frozenset()):
        compare.compare_events(
            self.found,
            self.world.ledger.events,
            columns(self.rows, 4),
            columns(self.recent, 2),
            self.sums,
            self.slow,
            loss,
            before,
        )
        return self.offences()

    def test_what_is_right_holds(self):
        self.check()
        self.holds()

    def test_an_event_in_doubt_may_be_there(self):
        self.rows, self.recent, self.sums = self.world.events(self.there + [17])
        self.check()
        self.holds()

    def test_an_event_in_doubt_may_not_be_there_twice(self):
        self.rows, self.recent, self.sums = self.world.events(self.there + [17])
        self.recent.append(self.recent[-1])
        self.assertEqual(self.check(), {"duplicated": 1})

    def test_lost(self):
        self.rows, self.recent, self.sums = self.world.events(self.there[1:])
        self.assertEqual(self.check(), {"lost": 1})

    def test_lost_in_one_view_only(self):
        del self.recent[5]
        self.assertEqual(self.check(), {"lost": 1, "half": 1})

    def test_lost_in_the_raw_table_but_counted_in_the_sums(self):
        del self.rows[5]
        self.assertEqual(self.check(), {"lost": 1, "half": 1, "sums_wrong": 1})

    def test_duplicated_in_the_raw_table(self):
        self.rows.append(self.rows[3])
        self.assertEqual(self.check(), {"duplicated": 1})

    def test_a_duplicate_that_a_merge_has_hidden_shows_in_the_sums(self):
        key = next(iter(self.sums))
        count, amount, size = self.sums[key]
        self.sums[key] = (count + 1, amount + 4, size + 200)
        self.assertEqual(self.check(), {"sums_wrong": 1})

    def test_one_lost_and_one_doubled_in_the_same_sum(self):
        key = next(iter(self.sums))
        count, amount, size = self.sums[key]
        self.sums[key] = (count, amount + 1, size)
        self.assertEqual(self.check(), {"sums_wrong": 1})

    def test_a_sum_that_is_not_there_and_one_that_should_not_be(self):
        self.sums[(99, 1)] = self.sums.pop(next(iter(self.sums)))
        self.assertEqual(self.check(), {"sums_wrong": 2})

    def test_changed_content(self):
        self.rows[9][1] ^= 1
        self.assertEqual(self.check(), {"changed": 1})

    def test_changed_in_the_second_view_alone(self):
        self.recent[9][1] ^= 1
        self.assertEqual(self.check(), {"changed": 1})

    def test_another_offset(self):
        self.rows[9][3] += 1
        self.assertEqual(self.check(), {"changed": 1})

    def test_extra(self):
        self.rows.append([77, 1, 1, 1])
        self.recent.append([77, 1])
        self.assertEqual(self.check(), {"extra": 2})

    def test_the_slow_view_counts_too(self):
        self.slow = {key: (count,) for key, (count, _, _) in self.sums.items()}
        self.check()
        self.holds()
        key = next(iter(self.slow))
        self.slow[key] = (self.slow[key][0] - 1,)
        self.assertEqual(self.check(), {"sums_wrong": 1})

    def test_the_last_moments_before_a_loss_may_be_missing(self):
        cut = [n for n in self.there if not LIFE - 15 <= n < LIFE]
        self.rows, self.recent, self.sums = self.world.events(cut)
        self.check(*self.loss())
        self.holds()
        self.assertEqual(self.found.rpo, 15)
        self.assertAlmostEqual(self.found.report(self.loss()[0])["rpo_seconds"], 0.15, places=3)

    def test_older_than_the_bound_is_lost(self):
        cut = [n for n in self.there if not LIFE - 25 <= n < LIFE]
        self.rows, self.recent, self.sums = self.world.events(cut)
        self.assertEqual(self.check(*self.loss()), {"lost": 5})

    def test_what_came_after_the_loss_may_not_be_missing(self):
        self.rows, self.recent, self.sums = self.world.events(self.there[:-1])
        self.assertEqual(self.check(*self.loss()), {"lost": 1})

    def test_new_offsets_are_fine_for_what_was_before_the_loss_alone(self):
        self.rows[9][3] += 1
        self.check(*self.loss())
        self.holds()
        self.rows[-1][3] += 1
        self.assertEqual(self.check(*self.loss()), {"changed": 1})

    def test_an_empty_table_has_lost_everything(self):
        self.rows, self.recent, self.sums = [], [], {}
        self.assertEqual(self.check(), {"lost": 2 * LIFE - 2})


class PersonsTest(Case):
    def check(self, rows, loss=None, before=frozenset()):
        compare.compare_persons(
            self.found, self.world.ledger.persons, columns(rows, 4), loss, before
        )
        self.found.sums_checked = 1
        return self.offences()

    def test_merged_and_not_merged_hold(self):
        for merged in (True, False):
            self.check(self.world.persons(range(2 * LIFE), merged))
            self.holds()

    def test_the_newest_version_is_lost(self):
        self.assertEqual(self.check(self.world.persons(range(2 * LIFE - 1))), {"lost": 1})

    def test_a_person_is_lost(self):
        rows = [
            row
            for row in self.world.persons(range(2 * LIFE), merged=False)
            if row[0] != self.world.person(0)
        ]
        self.assertEqual(self.check(rows), {"lost": 12})

    def test_duplicated_changed_moved_extra(self):
        rows = self.world.persons(range(2 * LIFE))
        self.assertEqual(self.check(rows + [rows[0]]), {"duplicated": 1})
        for at, kind in ((2, "changed"), (3, "changed"), (0, "extra")):
            self.found = compare.Findings()
            spoilt = [list(row) for row in self.world.persons(range(2 * LIFE), merged=False)]
            spoilt[0][at] += 100_000
            self.assertEqual(self.check(spoilt), {kind: 1})

    def test_loss_within_and_beyond_the_bound(self):
        after = list(range(LIFE, 2 * LIFE))
        self.check(self.world.persons(list(range(LIFE - 15)) + after), *self.loss())
        self.holds()
        self.assertEqual(self.found.rpo, 15)
        self.found = compare.Findings()
        self.assertEqual(
            self.check(self.world.persons(list(range(LIFE - 25)) + after), *self.loss()),
            {"lost": 5},
        )


class ReplayTest(Case):
    doubtful = (LIFE - 1, 2 * LIFE - 1)

    def check(self, seqs, loss=None, before=frozenset(), spoil=None):
        rows, teams = self.world.replay(seqs)
        if spoil:
            spoil(rows, teams)
        compare.compare_replay(
            self.found, self.world.ledger.replay, columns(rows, 8), teams, loss, before
        )
        return self.offences()

    def all(self, but=()):
        return [n for n in range(2 * LIFE) if n not in self.doubtful and n not in but]

    def test_what_is_right_holds(self):
        self.check(self.all())
        self.holds()

    def test_in_doubt_and_there_holds(self):
        self.check(range(2 * LIFE))
        self.holds()

    def test_lost(self):
        self.assertEqual(self.check(self.all(but=[3]))["lost"], 1)

    def test_duplicated(self):
        found = self.check(list(range(2 * LIFE)) + [3])
        self.assertEqual(found["duplicated"], 1)

    def test_a_duplicate_that_could_pass_for_one_in_doubt_shows_in_the_sums(self):
        twin = self.doubtful[0] - SESSIONS  # of the same session
        self.assertEqual(self.check(self.all() + [twin]).keys(), {"sums_wrong"})

    def test_a_wrong_sum(self):
        def spoil(rows, _):
            rows[2][6] += 1

        self.assertEqual(self.check(self.all(), spoil=spoil), {"sums_wrong": 1})

    def test_a_wrong_minimum(self):
        def spoil(rows, _):
            rows[2][2] += 1

        self.assertEqual(self.check(self.all(), spoil=spoil), {"sums_wrong": 1})

    def test_a_wrong_sum_in_the_second_view(self):
        def spoil(_, teams):
            key = next(iter(teams))
            teams[key] = (teams[key][0], teams[key][1], teams[key][2] + 1)

        self.assertEqual(self.check(self.all(), spoil=spoil), {"sums_wrong": 1})

    def test_extra(self):
        def spoil(rows, _):
            rows.append([1, 1, 1, 1, 1, 1, 1, 1])

        self.assertEqual(self.check(self.all(), spoil=spoil)["extra"], 1)

    def test_what_survives_a_loss_is_a_prefix_of_each_partition(self):
        after = [n for n in range(LIFE, 2 * LIFE) if n not in self.doubtful]
        self.check(list(range(LIFE - 15)) + after, *self.loss())
        self.holds()
        self.assertEqual(self.found.rpo, 14)

    def test_beyond_the_bound_is_lost(self):
        after = [n for n in range(LIFE, 2 * LIFE) if n not in self.doubtful]
        self.assertEqual(self.check(list(range(LIFE - 25)) + after, *self.loss()), {"lost": 5})

    def test_a_hole_before_the_cut_shows(self):
        after = [n for n in range(LIFE, 2 * LIFE) if n not in self.doubtful]
        seqs = [n for n in range(LIFE - 5) if n != 8] + after
        self.assertIn("sums_wrong", self.check(seqs, *self.loss()))

    def test_a_duplicate_before_the_cut_shows(self):
        after = [n for n in range(LIFE, 2 * LIFE) if n not in self.doubtful]
        self.assertIn("sums_wrong", self.check(list(range(LIFE - 15)) + [8] + after, *self.loss()))

    def test_after_the_loss_nothing_may_be_missing(self):
        seqs = self.all(but=[2 * LIFE - 2])
        self.assertEqual(self.check(seqs, *self.loss())["lost"], 1)


class PostgresTest(Case):
    def check(self, loss=None):
        compare.compare_postgres(
            self.found, self.world.ledger.transactions, self.world.tables, loss
        )
        return self.offences()

    def drop(self, tx, tables=("users", "api_keys", "feature_flag_changes", "load_tx")):
        for name in tables:
            self.world.tables[name] = [row for row in self.world.tables[name] if row[0] != str(tx)]

    def undo(self, tx):
        """As if it had never been: the last transaction of its flag."""
        change = next(row for row in self.world.tables["feature_flag_changes"] if row[0] == str(tx))
        user = next(row for row in self.world.tables["users"] if row[0] == str(tx))
        self.drop(tx)
        left = [row for row in self.world.tables["feature_flag_changes"] if row[1] == change[1]]
        self.world.tables["feature_flags"][int(change[1]) - 1][1:] = [str(len(left)), left[-1][3]]
        team = self.world.tables["teams"][int(user[2]) - 1]
        team[3] = str(int(team[3]) - 1)

    def test_what_is_right_holds(self):
        self.check()
        self.holds()

    def test_lost(self):
        self.undo(49)
        self.assertEqual(self.check(), {"lost": 1})

    def test_within_and_beyond_the_bound(self):
        for tx in (49, 48, 47):
            self.undo(tx)
        loss = compare.Loss(T0 + 4.95, 0.4)
        self.check(loss)
        self.holds()
        self.assertEqual(self.found.rpo, 3)
        self.assertEqual(self.check(compare.Loss(T0 + 4.95, 0.2)), {"lost": 1})

    def test_acknowledged_after_the_loss_may_not_be_missing(self):
        self.undo(49)
        self.assertEqual(self.check(compare.Loss(T0 + 1.5, 0.2)), {"lost": 1})

    def test_half_a_transaction(self):
        for name in ("users", "api_keys", "feature_flag_changes", "load_tx"):
            with self.subTest(missing=name):
                self.setUp()
                self.drop(30, [name])
                self.assertEqual(self.check()["half"], 1)

    def test_a_flag_that_did_not_move_with_its_transaction(self):
        self.world.tables["feature_flags"][1][1] = str(
            int(self.world.tables["feature_flags"][1][1]) - 1
        )
        self.assertEqual(self.check(), {"sums_wrong": 1})

    def test_a_team_that_did_not_move_with_its_transaction(self):
        self.world.tables["teams"][1][3] = "0"
        self.assertEqual(self.check(), {"sums_wrong": 1})

    def test_a_lost_team(self):
        del self.world.tables["teams"][19]
        self.assertEqual(self.check(), {"sums_wrong": 1})

    def test_changed_content(self):
        for table, at in (("users", 3), ("api_keys", 4), ("api_keys", 2), ("load_tx", 1)):
            with self.subTest(table=table, column=at):
                self.setUp()
                self.world.tables[table][30][at] = "1234"
                self.assertEqual(self.check()["changed"], 1)

    def test_a_rolled_back_transaction_that_is_there(self):
        self.world.write_transaction(10, 11, 2, 10, "0" * 16)
        self.assertEqual(self.check()["extra"], 1)

    def test_in_doubt_and_there_holds(self):
        digest = hashlib.sha256(b"20|1|e20|n20|s20|3|20").hexdigest()[:16]
        self.world.write_transaction(20, 1, 3, 20, digest)
        self.check()
        self.holds()

    def test_a_transaction_that_is_there_twice(self):
        self.world.tables["load_tx"].append(self.world.tables["load_tx"][0])
        self.assertEqual(self.check(), {"duplicated": 1})

    def test_extra(self):
        self.world.write_transaction(777, 1, 1, 5, "0" * 16)
        self.assertEqual(self.check(), {"extra": 4})


class VerdictTest(Case):
    STACK = {
        "clickhouse": {"url": "http://127.0.0.1:1"},
        "postgres": {
            "bin": "/nowhere",
            "host": "127.0.0.1",
            "port": 1,
            "user": "u",
            "password": "p",
            "database": "d",
        },
    }

    def test_stores_that_do_not_answer(self):
        report = compare.compare(self.STACK, self.folder.name)
        self.assertEqual(report["verdict"], compare.COULD_NOT_VERIFY)
        self.assertEqual(
            {store["verdict"] for store in report["stores"].values()}, {compare.COULD_NOT_VERIFY}
        )

    def test_nothing_checked_is_not_verified(self):
        self.assertEqual(compare.Findings().verdict(), compare.COULD_NOT_VERIFY)
        self.assertEqual(compare.overall([]), compare.COULD_NOT_VERIFY)

    def test_one_failure_outweighs_the_rest(self):
        self.assertEqual(
            compare.overall([compare.HOLDS, compare.COULD_NOT_VERIFY]), compare.COULD_NOT_VERIFY
        )
        self.assertEqual(
            compare.overall([compare.FAILED, compare.COULD_NOT_VERIFY]), compare.FAILED
        )
        self.assertEqual(compare.overall([compare.HOLDS, compare.HOLDS]), compare.HOLDS)

    def test_an_empty_ledger_is_no_witness(self):
        for name in ("events", "persons", "replay"):
            with self.subTest(topic=name):
                self.setUp()
                messages = getattr(self.world.ledger, name)
                messages.acked = [None] * len(messages)
                with self.assertRaises(compare.CouldNotVerify):
                    compare.check_clickhouse(None, self.world.ledger, None)
        self.world.ledger.transactions.by_id = {}
        with self.assertRaises(compare.CouldNotVerify):
            compare.check_postgres(None, self.world.ledger, None)

    def test_a_producer_that_lived_through_the_loss_is_no_witness(self):
        loss = compare.Loss(T0 - 0.5, 2)
        with self.assertRaises(compare.CouldNotVerify):
            compare.refuse_mixed_epochs(self.world.ledger.events, {0, 1}, loss)

    def test_a_ledger_that_was_not_closed_or_is_torn(self):
        for spoil in ("journal.jsonl", "events.sent", "events.answers", "transactions"):
            with self.subTest(file=spoil):
                self.setUp()
                path = os.path.join(self.folder.name, spoil)
                os.truncate(path, os.path.getsize(path) - 32)
                report = compare.compare(self.STACK, self.folder.name)
                self.assertEqual(report["verdict"], compare.COULD_NOT_VERIFY)
                self.assertTrue(report["reason"])


class LogOrderTest(Case):
    doubtful = (8, 96, 99)

    def test_what_is_in_doubt_fills_the_holes_between_the_acknowledged(self):
        order = self.world.ledger.events.in_log_order()
        self.assertEqual(order[(0, 0)], list(range(0, LIFE, 4)))  # 8 between, 96 at the end
        self.assertEqual(order[(3, 0)], list(range(3, LIFE, 4)))
        self.assertEqual(sum(map(len, order.values())), 2 * LIFE)


class ColumnTest(unittest.TestCase):
    def test_columns_of_mixed_widths(self):
        body = struct.pack("<QHHI", 1, 2, 3, 4) + struct.pack("<QHHI", 5, 6, 7, 8)
        self.assertEqual(ledgers.column(body, 16, "Q", 0), array.array("Q", [1, 5]))
        self.assertEqual(ledgers.column(body, 16, "H", 10), array.array("H", [3, 7]))
        self.assertEqual(ledgers.column(body, 16, "I", 12), array.array("I", [4, 8]))


if __name__ == "__main__":
    unittest.main()
