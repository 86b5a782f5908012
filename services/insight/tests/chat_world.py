"""Two users' payments and risks, and questions to a running chat."""

from insight_world import OTHER, OWN, assessed, changed

from testkit.operators import signed_in
from testkit.tokens import token

READ = signed_in("ops.read", name="chat-reader")
SECRET_AMOUNT = "73913.37"
PAYMENTS = [
    changed("tx-100", amount_minor=520_000, days_ago=2),
    changed("tx-101", amount_minor=12_345, days_ago=1, settlement_status="SETTLED"),
    changed("tx-102", status="DECLINED", settlement_status="NONE", reason="insufficient_funds"),
    changed("tx-103", status="OTP_REQUIRED", settlement_status="NONE"),
    changed("tx-100", user_id=OTHER, amount_minor=7_391_337),
    changed("tx-900", user_id=OTHER, status="DECLINED", reason="not_permitted"),
]
RISKS = [assessed("tx-100"), assessed("tx-101", score=7, level="low", factors=[])]
RISKS += [assessed("tx-100", user_id=OTHER, score=64, level="medium")]


async def is_known(http):
    for user, count in ((OWN, 4), (OTHER, 2)):
        paid = await ask(http, "operator", f"How many payments did {user} make in 90 days?")
        if sum(row["count"] for row in paid["figures"][0]["rows"]) < count:
            return False
    for risk in RISKS:
        about = {"payment_id": str(risk.payment_id)}
        known = await http.get("/admin/explanations", params=about, headers=READ)
        if not known.json()["explanations"]:
            return False
    return (await ask(http, "operator", "What does WorkParked mean?"))["outcome"] == "answered"


async def ask(http, who, question, user_id=OWN):
    body = {"question": question}
    if who == "operator":
        reply = await http.post("/admin/chat", json=body, headers=READ)
    else:
        held = {"Authorization": f"Bearer {token(sub=user_id)}"}
        reply = await http.post("/chat", json=body, headers=held)
    assert reply.status_code == 200, reply.text
    return reply.json()
