/** The first view: a payment to make, and those that were made. */

import { type App } from "../app.js";
import { h, icon, ICONS } from "../dom.js";
import { changeOf } from "../run.js";
import { isFinal } from "../store.js";
import { heading, paymentList } from "./parts.js";

/** How many payments are read anew at once: a customer may read 60 times a minute. */
const MOST_READ = 5;

export function homeView(app: App): HTMLElement {
  const name = app.session.customer.name.split(/[ @]/)[0] ?? "";
  const list = h("div", {});
  const note = h("p", { class: "fine", role: "status" });
  const show = () => list.replaceChildren(shown(app));
  const changed = () => (list.isConnected ? show() : app.payments.removeEventListener("change", changed));
  show();
  app.payments.addEventListener("change", changed);
  void refresh(app, note);
  return h(
    "section",
    { class: "stack wide" },
    heading(`Hello, ${name}`),
    h("a", { class: "button primary big", href: "#/pay" }, "Send money", icon(ICONS.arrow)),
    h("h2", {}, "Payments"),
    note,
    list,
  );
}

function shown(app: App): HTMLElement {
  const all = app.payments.all();
  if (all.length) return paymentList(all);
  return h(
    "div",
    { class: "empty" },
    icon(ICONS.clock),
    h("p", {}, h("strong", {}, "No payments yet")),
    h("p", {}, "What you send from this device appears here, with its state."),
  );
}

/** Read payments whose outcome is not known here, and which no run of this page follows. */
async function refresh(app: App, note: HTMLElement): Promise<void> {
  const open = app.payments.all().filter((one) => !isFinal(one)).slice(0, MOST_READ);
  if (!open.length) return;
  note.textContent = "Updating…";
  const reads = open.map(async (record) => {
    const payment = await app.client.payment(record.transaction_id, { deadlineMs: 5_000 });
    const present = app.payments.find(record.transaction_id) ?? record;
    if (!isFinal(present)) app.payments.save({ ...present, ...changeOf(payment) });
  });
  const results = await Promise.allSettled(reads);
  const isComplete = results.every((one) => one.status === "fulfilled");
  note.textContent = isComplete ? "" : "Some payments could not be updated. Open one to go on with it.";
}
