/** The payment in one look, before it is confirmed. */

import { type App, go, nameOf } from "../app.js";
import { h, icon, ICONS, money } from "../dom.js";
import { isFinal } from "../store.js";
import { heading } from "./parts.js";

export function reviewView(app: App): HTMLElement | null {
  const draft = app.draft;
  if (!draft) return null;
  const sum = money(draft.amount, draft.currency);
  const onclick = () => {
    button.disabled = true;
    const record = app.confirm(draft);
    void app.runOf(record).start();
    // Back then leads to a new payment, never to this one's confirmation.
    go(`/payment/${encodeURIComponent(record.transaction_id)}`, true);
  };
  const button = h("button", { class: "primary big", type: "button", onclick }, `Confirm ${sum}`);
  return h(
    "section",
    { class: "stack" },
    heading("Check and confirm"),
    hasTwin(app) &&
      h(
        "div",
        { class: "notice warn" },
        icon(ICONS.clock),
        h("p", {}, "A payment of this amount to this payee is still in progress. This would be another one."),
      ),
    h(
      "dl",
      { class: "card facts" },
      ...fact("Amount", sum, "figure-big"),
      ...fact("To", nameOf(draft.to_account)),
      ...fact("Payee's account", draft.to_account),
      ...fact("From account", draft.from_account),
    ),
    button,
    h("a", { class: "button", href: "#/pay" }, "Change"),
  );
}

function fact(term: string, text: string, kind = ""): HTMLElement[] {
  return [h("dt", {}, term), h("dd", { class: kind || null }, text)];
}

function hasTwin(app: App): boolean {
  const draft = app.draft;
  return app.payments
    .all()
    .some((one) => !isFinal(one) && one.to_account === draft?.to_account && one.amount === draft.amount);
}
