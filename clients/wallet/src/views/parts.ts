/** Parts that several views share. */

import { h, icon, ICONS, money, time } from "../dom.js";
import type { Explained } from "../explain.js";
import type { PaymentRecord, State } from "../store.js";

export const heading = (text: string) => h("h1", { tabindex: -1 }, text);

const STATES: Readonly<Record<State, readonly [text: string, kind: string]>> = {
  sent: ["In progress", "busy"],
  code: ["Code needed", "busy"],
  confirmed: ["On its way", "busy"],
  settled: ["Settled", "good"],
  returned: ["Returned", "bad"],
  declined: ["Declined", "bad"],
  refused: ["Not made", "bad"],
};

export function badge(state: State): HTMLElement {
  const [text, kind] = STATES[state];
  return h("span", { class: `badge ${kind}` }, text);
}

/** Payments as links. */
export function paymentList(payments: readonly PaymentRecord[]): HTMLElement {
  const rows = payments.map((one) =>
    h(
      "li",
      {},
      h(
        "a",
        { class: "row", href: `#/payment/${encodeURIComponent(one.transaction_id)}` },
        h("span", { class: "row-main" }, h("strong", {}, one.payee), h("small", {}, time(one.made_at))),
        h("span", { class: "row-end" }, h("span", { class: "figure" }, money(one.amount, one.currency)), badge(one.state)),
      ),
    ),
  );
  return h("ul", { class: "list" }, ...rows);
}

/** A problem with its remedy. `action` is the label and what it does. */
export function problemBox(problem: Explained, action?: readonly [string, () => void]): HTMLElement {
  return h(
    "div",
    { class: "notice bad", role: "alert" },
    icon(ICONS.cross),
    h(
      "div",
      {},
      h("strong", {}, problem.title),
      h("p", {}, problem.text),
      problem.request_id && h("p", { class: "fine" }, `For support: ${problem.request_id}`),
      action && h("button", { class: "small", type: "button", onclick: action[1] }, action[0]),
    ),
  );
}

/** A field with its label, hint and a place for its fault. */
export function field(label: string, input: HTMLInputElement, hint = ""): HTMLElement {
  const describedBy = [hint && `${input.id}-hint`, `${input.id}-fault`].filter(Boolean).join(" ");
  input.setAttribute("aria-describedby", describedBy);
  return h(
    "div",
    { class: "field" },
    h("label", { for: input.id }, label),
    hint && h("p", { class: "hint", id: `${input.id}-hint` }, hint),
    input,
    h("p", { class: "fault", id: `${input.id}-fault` }),
  );
}

/** Say what is wrong with a field, "" for nothing. */
export function setFault(input: HTMLInputElement, text: string): boolean {
  const place = document.getElementById(`${input.id}-fault`);
  if (place) place.textContent = text;
  if (text) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
  return Boolean(text);
}
