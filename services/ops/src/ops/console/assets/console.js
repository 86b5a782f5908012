"use strict";
// The console works without scripts. This adds: relative times, parts of pages that load and renew
// themselves, keys, the choice of colours, and buttons that are pressed once.

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "short" });
const exact = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });

function showTimes(root = document) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    const seconds = (moment - Date.now()) / 1000;
    const [unit, size] = UNITS.find(([, one]) => Math.abs(seconds) >= one) ?? UNITS[3];
    if (!time.classList.contains("exact")) time.textContent = relative.format(Math.trunc(seconds / size), unit);
    else time.textContent = clock(moment);
    time.title = exact.format(moment);
  }
}

function clock(moment) {
  const parts = [moment.getHours(), moment.getMinutes(), moment.getSeconds()];
  const text = parts.map((part) => String(part).padStart(2, "0")).join(":");
  return `${text}.${String(moment.getMilliseconds()).padStart(3, "0")}`;
}

// Elements with data-part load a part of the page, again each data-every seconds while it is seen.
async function load(place) {
  if (document.hidden || place.contains(document.activeElement)) return;
  try {
    const response = await fetch(place.dataset.part, { headers: { "X-Fragment": "1" } });
    const text = await response.text();
    if (place.dataset.shown !== text) {
      const opened = [...place.querySelectorAll("details[open][id]")].map((one) => one.id);
      place.innerHTML = text;
      place.dataset.shown = text;
      for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    }
    place.classList.remove("stale");
  } catch {
    place.classList.add("stale");
  }
  place.removeAttribute("aria-busy");
  showTimes(place);
  markScrolling();
}

// A table that is wider than its box is scrolled by the keyboard, too: it gets the focus and a name.
function markScrolling() {
  for (const one of document.querySelectorAll(".scroll:not([tabindex]), .scroll[data-wide]")) {
    const isWide = one.scrollWidth > one.clientWidth;
    const title = one.closest("section, details")?.querySelector("h2") ?? document.querySelector("h1");
    one.toggleAttribute("data-wide", isWide);
    for (const [name, value] of [["tabindex", "0"], ["role", "region"], ["aria-label", `Table: ${title.textContent}`]]) {
      if (isWide) one.setAttribute(name, value);
      else one.removeAttribute(name);
    }
  }
}

// A part within details loads when these are opened.
function startLazyParts() {
  for (const place of document.querySelectorAll("details > [data-lazy]")) {
    place.parentElement.addEventListener("toggle", () => place.parentElement.open && load(place));
  }
}

function startParts() {
  for (const place of document.querySelectorAll("[data-part]")) {
    if (place.hasAttribute("aria-busy")) load(place);
    const every = Number(place.dataset.every);
    if (every) setInterval(() => load(place), every * 1000);
  }
}

function isTyping(target) {
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

let waiting = -Infinity;
function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && isTyping(event.target)) event.target.blur();
  if (isTyping(event.target)) return;
  const follows = event.timeStamp - waiting < 1500;
  waiting = -Infinity;
  if (event.key === "g") waiting = event.timeStamp;
  else if (follows) document.querySelector(`nav [data-key="${CSS.escape(event.key)}"]`)?.click();
  else if (event.key === "n") document.querySelector("main a[rel=next]")?.click();
  else if (event.key === "/") focusOn("#search", event);
  else if (event.key === "?") document.getElementById("keys")?.showModal();
  else if (event.key === "j" || event.key === "k") moveRow(event.key === "j" ? 1 : -1);
}

function focusOn(selector, event) {
  event.preventDefault();
  document.querySelector(selector)?.focus();
  document.querySelector(selector)?.select();
}

function moveRow(step) {
  const links = [...document.querySelectorAll("main tbody a.row-link")];
  const at = links.indexOf(document.activeElement);
  links[Math.min(links.length - 1, Math.max(0, at + step))]?.focus();
}

function chooseTheme(choice) {
  const life = choice ? "max-age=31536000" : "max-age=0";
  document.cookie = `theme=${choice}; path=/; samesite=lax; ${life}`;
  if (choice) document.documentElement.dataset.theme = choice;
  else delete document.documentElement.dataset.theme;
  showTheme();
}

function showTheme() {
  const now = document.documentElement.dataset.theme ?? "";
  for (const one of document.querySelectorAll("[data-theme-choice]")) {
    one.setAttribute("aria-pressed", String(one.dataset.themeChoice === now));
  }
}

document.addEventListener("keydown", onKey);
document.addEventListener("click", (event) => {
  const theme = event.target.closest("[data-theme-choice]");
  if (theme) chooseTheme(theme.dataset.themeChoice);
  const opens = event.target.closest("[data-opens]");
  if (opens) document.getElementById(opens.dataset.opens).showModal();
  for (const one of document.querySelectorAll("details.who[open]")) {
    if (!one.contains(event.target)) one.removeAttribute("open");
  }
});
document.addEventListener("submit", (event) => {
  // Pressed once: the form is on its way. A second press would have no second effect either.
  if (event.target.method === "post") {
    setTimeout(() => event.target.querySelectorAll("button").forEach((one) => (one.disabled = true)));
  }
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) document.querySelectorAll("[data-part][data-every]").forEach(load);
});
addEventListener("pageshow", () => document.querySelectorAll("button:disabled").forEach((one) => (one.disabled = false)));

showTimes();
showTheme();
startParts();
startLazyParts();
markScrolling();
addEventListener("resize", markScrolling);
// On a phone the sections are one row, in which the current one may be out of sight.
document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
setInterval(showTimes, 10000);
