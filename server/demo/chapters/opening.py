"""Chapter one: the office opens, the client's file comes in, phones enrol."""

from uuid import UUID

from server.demo.agency import AUDITOR, CASES, DAY, DISPATCHER, REMINDER, SUPERVISOR, TEAMS
from server.demo.day import open_handset
from server.demo.office import ADMIN
from server.demo.scene import Scene


def the_office_opens(scene: Scene) -> None:
    """The administrator, the staff, the client's file."""
    scene.teller.chapter(f"{DAY:%A %d %B %Y}, 08:30 in Beijing: the office opens")
    scene.office.open()
    admin = scene.office.sign_in(ADMIN)
    scene.office.hire(admin)
    everybody = {person["employee_number"] for person in admin.get("/staff", limit=200)["staff"]}
    scene.teller.check(len(everybody) == 11, "eleven people work here", found=len(everybody))
    for one in (DISPATCHER, SUPERVISOR, AUDITOR):
        scene.desks[one.role] = scene.office.sign_in(one.number)
    report = scene.office.load_cases(scene.dispatcher, day=DAY)
    scene.supervisor.post("/letter-templates", REMINDER)
    total = sum(report[name] for name in ("created", "updated", "unchanged"))
    scene.teller.check(report["rejected"] == 0, f"the client's file is in: {total} rows", found=report)
    expected = "created" if report["created"] and not scene.is_over else "unchanged"
    scene.teller.check(report[expected] == total, f"every row of it was {expected}", found=report)
    listed = scene.dispatcher.get("/cases", limit=200)["cases"]
    for row in listed:
        case = scene.dispatcher.get(f"/cases/{row['id']}")
        scene.cases[case["reference"].removeprefix("case-")] = case
    scene.teller.check(len(scene.cases) == len(CASES), f"{len(CASES)} cases", found=len(scene.cases))
    shown = scene.cases["honest"]["debtor"]["name"]
    scene.teller.check("*" in shown, f"debtors' names are masked in lists: {shown}", found=shown)


def phones_enrol(scene: Scene) -> None:
    """Each lead visitor's phone gets a key of its own and a one-time code."""
    for number, team in TEAMS.items():
        members = [UUID(scene.office.ids[one.number]) for one in team]
        handset = open_handset(scene.folder / "phones" / number, team=members)
        scene.handsets[number] = handset
        if not handset.phone.is_enrolled:
            body = {"staff_id": scene.office.ids[number]}
            code = scene.dispatcher.post("/enrolment-codes", body)["code"]
            handset.phone.enrol(code, http=scene.http)
    enrolled = sum(one.phone.is_enrolled for one in scene.handsets.values())
    scene.teller.check(enrolled == 3, "three phones are enrolled, each with a key of its own")


# Dispatch.
