/** The code that a payment needs, and the development inbox that shows what was sent. */

import type { App } from "../app.js";
import { h } from "../dom.js";
import type { Run, Step } from "../run.js";
import { inbox } from "../session.js";
import { field, setFault } from "./parts.js";

const DIGITS = 6;
/** After so many wrong codes a new one is sent. */
const MOST_WRONG = 5;
const READ_EVERY_MS = 1_500;

export function codeForm(app: App, run: Run, step: Extract<Step, { name: "code" }>): HTMLElement {
  const input = h("input", {
    id: "code",
    class: "code",
    inputmode: "numeric",
    autocomplete: "one-time-code",
    maxlength: DIGITS,
    placeholder: "000000",
  });
  const onsubmit = (event: Event) => {
    event.preventDefault();
    const code = input.value.replace(/\D/g, "");
    if (setFault(input, code.length === DIGITS ? "" : `The code has ${DIGITS} digits.`)) input.focus();
    else run.enterCode(code);
  };
  const left = h("p", { class: "fine" });
  const renew = h("button", { type: "button", hidden: true, onclick: () => run.requestCode() }, "Send a new code");
  const form = h(
    "form",
    { class: "card stack", novalidate: true, onsubmit },
    field("Code from your phone", input, hintOf(app)),
    left,
    h("div", { class: "actions" }, h("button", { class: "primary" }, "Confirm with this code"), renew),
    app.session.customer.phone && developmentInbox(app.session.customer.phone, input),
  );
  countDown(form, step.ends_at, left, renew);
  queueMicrotask(() => {
    if (step.required.wrong_codes) setFault(input, wrongOf(step.required.wrong_codes));
    input.focus();
  });
  return form;
}

function hintOf(app: App): string {
  const { phone } = app.session.customer;
  return phone ? `${DIGITS} digits, sent to the number that ends in ${phone.slice(-4)}` : `${DIGITS} digits`;
}

function wrongOf(wrong: number): string {
  const left = MOST_WRONG - wrong;
  return `This code is not right. ${left === 1 ? "One try is" : `${left} tries are`} left.`;
}

/** Show the time that is left, without a word to assistive technology each second. */
function countDown(form: HTMLElement, endsAt: number, place: HTMLElement, renew: HTMLElement): void {
  const tick = () => {
    const seconds = Math.max(0, Math.ceil((endsAt - Date.now()) / 1000));
    const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    place.textContent = seconds ? `Valid for ${clock}` : "This code has expired.";
    renew.hidden = seconds > 0;
    if (seconds) setTimeout(() => form.isConnected && tick(), 1_000);
  };
  tick();
}

/** The phone of the demonstration: the messages that the mock of the provider has received. */
function developmentInbox(phone: string, input: HTMLInputElement): HTMLElement {
  const list = h("div", { class: "stack", "aria-live": "polite" }, h("p", {}, "Waiting for the message…"));
  const box = h("section", { class: "phone", "aria-labelledby": "inbox" });
  box.append(h("h2", { id: "inbox" }, "Development inbox"), list);
  let shown = "";
  const read = async () => {
    const [text = ""] = await inbox(phone).catch(() => [""]);
    if (text && text !== shown) list.replaceChildren(...message(text, input));
    shown = text || shown;
    if (box.isConnected) setTimeout(read, READ_EVERY_MS);
  };
  queueMicrotask(read);
  return box;
}

function message(text: string, input: HTMLInputElement): HTMLElement[] {
  const code = new RegExp(`\\b\\d{${DIGITS}}\\b`).exec(text)?.[0];
  const fill = () => {
    input.value = code ?? "";
    input.focus();
  };
  const bubble = h("p", { class: "bubble" }, text);
  return code ? [bubble, h("button", { class: "small", type: "button", onclick: fill }, `Fill in ${code}`)] : [bubble];
}
