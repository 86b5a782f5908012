/** One payment: its progress, the code that it needs, and how it has ended. */

import { type App, go } from "../app.js";
import { announce, h, icon, ICONS, money } from "../dom.js";
import { reasonOf, type Run } from "../run.js";
import { codeForm } from "./code.js";
import { badge, heading, problemBox } from "./parts.js";

type Mark = "done" | "now" | "todo" | "failed";

/** Return the view, which changes with the payment. */
export function paymentView(app: App, transaction_id: string): HTMLElement | null {
  const record = app.payments.find(transaction_id);
  if (!record) return null;
  const run = app.runOf(record);
  const sum = money(record.amount, record.currency);
  const [status, steps, panel] = [h("p", { class: "lead" }), h("ol", { class: "steps" }), h("div", {})];
  const state = h("span", {});
  const view = h(
    "section",
    { class: "stack" },
    h("div", { class: "title" }, heading(`${sum} to ${record.payee}`), state),
    status,
    panel,
    steps,
    h("a", { class: "button", href: "#/" }, "All payments"),
  );
  let shown = "";
  const show = () => {
    const text = statusOf(run);
    status.textContent = text;
    state.replaceChildren(badge(run.record.state));
    steps.replaceChildren(...milestones(run).map(([label, mark]) => milestone(label, mark)));
    announce(text);
    // The panel stays while its step does: a code that is being typed is kept.
    const name = `${run.step.name} ${run.step.name === "code" ? run.step.required.wrong_codes : ""}`;
    if (name !== shown) panel.replaceChildren(...panelOf(app, run));
    shown = name;
  };
  const changed = () => (view.isConnected ? show() : run.removeEventListener("change", changed));
  show();
  run.addEventListener("change", changed);
  queueMicrotask(() => void run.start()); // the view is then in the document, and hears of it
  return view;
}

function statusOf({ step, record }: Run): string {
  switch (step.name) {
    case "sending":
      return "Your bank is asked to confirm this payment.";
    case "code":
      return "Enter the code that was sent to your phone.";
    case "checking":
      return "Your code is checked.";
    case "following":
      return "Confirmed. The money is on its way.";
    case "waiting":
    case "stopped":
      return "";
    case "done":
      return OUTCOMES[record.state] ?? "";
  }
}

const OUTCOMES: Readonly<Record<string, string>> = {
  settled: "The payee's bank has booked the payment.",
  returned: "The payee's bank has refused the payment. The money is back on your account.",
  declined: "This payment was declined. No money was taken.",
  refused: "This payment was not made.",
};

/** The stations of a payment, and how far it is. */
function milestones({ step, record }: Run): (readonly [string, Mark])[] {
  const { state, reference } = record;
  const isConfirmed = ["confirmed", "settled", "returned"].includes(state);
  const isOver = ["declined", "refused"].includes(state);
  const isAsked = step.name === "code" || step.name === "checking";
  if (isOver) return [["Sent to your bank", "done"], ["Not confirmed", "failed"]];
  const last = state === "returned" ? "Returned by the payee's bank" : "Settled at the payee's bank";
  return [
    ["Sent to your bank", isAsked || isConfirmed ? "done" : "now"],
    ...(isAsked ? [["Code from your phone", "now"] as const] : []),
    [
      isConfirmed && reference ? `Confirmed, reference ${reference}` : "Confirmed",
      isConfirmed ? "done" : "todo",
    ],
    [last, state === "settled" ? "done" : state === "returned" ? "failed" : isConfirmed ? "now" : "todo"],
  ];
}

const WORDS: Readonly<Record<Mark, string>> = { done: "done", now: "in progress", todo: "to come", failed: "failed" };

function milestone(label: string, mark: Mark): HTMLElement {
  const picture = mark === "done" ? icon(ICONS.check) : mark === "failed" ? icon(ICONS.cross) : null;
  const dot = h("span", { class: "dot", "aria-hidden": "true" }, picture);
  const current = mark === "now" ? "step" : null;
  return h("li", { class: mark, "aria-current": current }, dot, h("span", {}, label), unseen(`, ${WORDS[mark]}`));
}

const unseen = (text: string) => h("span", { class: "unseen" }, text);

function panelOf(app: App, run: Run): HTMLElement[] {
  const { step, record } = run;
  switch (step.name) {
    case "code":
      return [codeForm(app, run, step)];
    case "waiting":
      return [problemBox(step.problem, ["Try now", () => run.retry()])];
    case "stopped":
      return [problemBox(step.problem, actionOf(app, run, step.problem.remedy))];
    case "done":
      return record.state === "declined" ? [problemBox(reasonOf(record)), again()] : [outcome(record.state), again()];
    default:
      return [];
  }
}

function actionOf(app: App, run: Run, remedy: string): readonly [string, () => void] | undefined {
  switch (remedy) {
    case "retry":
      return ["Try again", () => run.retry()];
    case "sign-in":
      return ["Sign in", () => go("/sign-out")];
    case "edit":
      return ["Correct it", () => (app.rewrite(run.record), go("/pay"))];
    default:
      return undefined;
  }
}

function outcome(state: string): HTMLElement {
  const isGood = state === "settled";
  const text = isGood ? "Paid" : state === "returned" ? "Money returned" : "Not made";
  return h(
    "div",
    { class: `outcome ${isGood ? "good" : "bad"}` },
    h("span", { class: "seal", "aria-hidden": "true" }, icon(isGood ? ICONS.check : ICONS.back)),
    h("strong", {}, text),
  );
}

const again = () => h("a", { class: "button primary", href: "#/pay" }, "Make another payment");
