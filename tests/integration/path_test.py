#!/usr/bin/python3
"""The whole path: reports up, assignments down, history to whoever joins late."""
from support import TreeTest, ctl_json, kinds_of, main


class PathTest(TreeTest):
    def test_report_is_seen_at_every_tier(self):
        nodes = self.whole_tree()
        district, grid = nodes[0], nodes[3]
        subject = grid.report("Broken hydrant", "corner of 5th")
        case = self.until_case(district, subject, state="reported")
        self.assertEqual(case["category"], "Broken hydrant")
        self.assertEqual(case["founder"], "d/s/c/g")
        self.tree.wait_level()
        self.assertFalse(self.until_case(grid, subject, waits_up=False)["waits_up"])
        self.assert_same_everywhere(nodes, {subject})
        self.assert_verified()

    def test_report_stays_below_its_reach(self):
        district, street, community, grid = self.whole_tree()
        subject = grid.report("Graffiti", up=2)
        self.until_case(community, subject)
        self.tree.wait_level()
        self.assert_same_everywhere((community, grid), {subject})
        self.assert_same_everywhere((district, street), set())
        # Every tier still holds every log gapless, with what it may not see withheld.
        self.assertEqual(district.call("status")["commits"], street.call("status")["commits"])
        self.assert_verified()

    def test_dispatch_reaches_grid_and_unit_with_history(self):
        district, street, community, grid = self.whole_tree("d/s/@fire", "d/s/c/h")
        unit, other = self.tree["d/s/@fire"], self.tree["d/s/c/h"]
        subject = grid.report("Fire hazard", "market hall")
        grid.tell("case.comment", subject, "doors are locked")
        self.until_case(street, subject, records=2)
        self.assertEqual(unit.subjects(), set())
        street.tell("case.dispatch", subject, "please", down=["d/s/@fire"])
        self.until_case(unit, subject, records=3, state="dispatched")
        self.assertEqual(kinds_of(unit, subject), [("case.report", "d/s/c/g"),
                                                   ("case.comment", "d/s/c/g"),
                                                   ("case.dispatch", "d/s")])
        inbox = unit.call("inbox")["entries"]
        self.assertTrue(any(e["record"]["kind"] == "case.dispatch" for e in inbox))
        unit.tell("case.resolve", subject, "unlocked")
        self.until_case(grid, subject, state="resolved", records=4)
        street.tell("case.close", subject)
        for node in (district, street, community, grid, unit):
            self.until_case(node, subject, state="closed", records=5)
        self.tree.wait_level()
        self.assertEqual(other.subjects(), set(), "a grid beside the case sees nothing of it")
        self.assert_verified()

    def test_dispatch_from_the_district_to_a_grid(self):
        district, street, community, grid = self.whole_tree()
        subject = district.report("Inspection", "all hydrants")
        self.tree.wait_level()
        self.assertEqual(grid.subjects(), set())
        district.tell("case.dispatch", subject, "yours", down=["d/s/c/g"])
        self.until_case(grid, subject, state="dispatched", records=2)
        self.assertEqual(kinds_of(grid, subject), [("case.report", "d"), ("case.dispatch", "d")])
        for carrier in (street, community):
            self.until_case(carrier, subject, records=2)
        grid.tell("case.resolve", subject, "done")
        self.until_case(district, subject, state="resolved", records=3)
        self.assert_verified()

    def test_late_child_gets_what_is_meant_for_it(self):
        district = self.whole_tree()[0]
        subject = district.report("Notice")
        district.tell("case.comment", subject, "to all", down=["d/*"])
        self.tree.wait_level()
        self.tree.add("d/t")
        self.tree.add("d/t/c")
        self.tree.build()
        for address in ("d/t", "d/t/c"):
            self.until_case(self.tree[address], subject, records=2)
        self.tree.wait_level()
        self.assert_verified()

    def test_items_are_withheld_by_class(self):
        nodes = self.whole_tree()
        draft = {"kind": "case.report", "items": [
            {"name": "", "value": {"category": "Noise"}},
            {"name": "contact", "value": "555 0100", "see": 1 | 2 | 16}]}
        subject = nodes[3].append(draft)[0]["subject"]
        self.until_case(nodes[0], subject)
        for node, seen in zip(nodes, (False, False, True, True)):
            record = node.call("case", subject=subject)["records"][0]
            values = [item["value"] for item in record["items"] if item.get("name") == "contact"
                      and not item.get("withheld")]
            self.assertEqual(values, ["555 0100"] if seen else [], node.address)
        self.assert_verified()

    def test_urgent_and_bulk_lanes(self):
        district, _, _, grid = self.whole_tree()
        subjects = [grid.report("Lane", lane=lane) for lane in ("urgent", "normal", "bulk")]
        for subject in subjects:
            self.until_case(district, subject)
        lanes = {log["lane"] for log in district.call("log.list")["logs"]
                 if log["address"] == grid.address}
        self.assertEqual(lanes, {"urgent", "normal", "bulk"})

    def test_nodectl_takes_a_case_through_its_life(self):
        district, street, _, grid = self.whole_tree("d/s/@roads")
        unit = self.tree["d/s/@roads"]
        code, answer = ctl_json(grid, "report", "--category", "Pothole", "--text", "deep",
                                "--item", "contact=555:19")
        self.assertEqual(code, 0)
        subject = find_subject(answer)
        self.until_case(street, subject)
        self.assertEqual(ctl_json(street, "dispatch", subject, unit.address)[0], 0)
        self.until_case(unit, subject, state="dispatched")
        self.assertEqual(ctl_json(unit, "resolve", subject, "--text", "filled")[0], 0)
        self.until_case(street, subject, state="resolved")
        self.assertEqual(ctl_json(street, "close", subject)[0], 0)
        self.until_case(district, subject, state="closed", records=4)
        for node in (district, unit):
            for words in (["status"], ["tree"], ["cases"], ["case", subject], ["inbox"],
                          ["log", "list"], ["quarantine", "list"]):
                code, answer = ctl_json(node, *words)
                self.assertEqual((code, answer is None), (0, False), words)
                self.assertEqual(node.ctl(*words).returncode, 0, words)
        rows = {row["address"]: row for row in district.call("tree")["rows"]}
        self.assertEqual(set(rows), set(self.tree.nodes))
        self.assertEqual({row["state"] for row in rows.values()}, {"self", "up"})


def find_subject(answer):
    """The subject in what nodectl prints for a record that it appended."""
    if isinstance(answer, dict):
        if "subject" in answer:
            return answer["subject"]
        answer = answer.get("records", answer.get("result"))
    return find_subject(answer[0] if isinstance(answer, list) else answer)


if __name__ == "__main__":
    main()
