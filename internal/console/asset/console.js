"use strict";
// What the pages need beyond HTML: acts that carry the session's key, passkeys,
// keys of the keyboard, and pages that fetch themselves again when something
// happened. Nothing that comes from the server is made markup but whole pages of
// its own.

const base = "/console/";
const keyName = "sallyport-key";

async function post(path, body) {
  const response = await fetch(path, {
    method: "POST",
    credentials: "same-origin",
    headers: { "Content-Type": "application/json", Accept: "application/json", "X-Sallyport-Key": localStorage.getItem(keyName) || "" },
    body: JSON.stringify(body),
  });
  const answer = await response.json().catch(() => ({ error: "The gateway's answer can't be read." }));
  if (!response.ok) throw new Error(answer.error || "That did not work.");
  return answer;
}

function go(answer) {
  if (answer.key) localStorage.setItem(keyName, answer.key);
  if (answer.go) location.assign(answer.go);
  else location.reload();
}

// with runs an act of a form and says in the form what went wrong.
async function within(form, act) {
  const problem = form.querySelector("[role=alert]");
  const buttons = form.querySelectorAll("button");
  if (problem) problem.textContent = "";
  buttons.forEach((b) => (b.disabled = true));
  try {
    await act();
  } catch (error) {
    if (problem) problem.textContent = error.message;
  } finally {
    buttons.forEach((b) => (b.disabled = false));
  }
}

// passkey has the device answer what the server asks.
async function passkey(begin, shown, more) {
  if (!window.PublicKeyCredential || !PublicKeyCredential.parseRequestOptionsFromJSON)
    throw new Error("This browser is too old for passkeys, or the page is not at https or localhost.");
  const { id, ask } = await post(begin, more);
  let credential;
  try {
    credential = ask.user
      ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(ask) })
      : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(ask) });
  } catch (error) {
    throw new Error("The device did not answer, or you stopped it.");
  }
  return post(shown, { ...more, id, answer: credential.toJSON() });
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-act]")) return;
  event.preventDefault();
  const fields = Object.fromEntries(new FormData(form, event.submitter));
  within(form, async () => {
    const action = event.submitter?.getAttribute("formaction") || form.getAttribute("action");
    const signs = form.dataset.act === "passkey" || event.submitter?.dataset.passkey !== undefined;
    const answer = signs ? await passkey(form.dataset.begin || action, form.dataset.shown || action + "/shown", fields) : await post(action, fields);
    if (answer.lines) say(form, answer.lines);
    else if (answer.rows) outcomes(form, answer.rows);
    else go(answer);
  });
});

// outcomes says of each row what became of it. Those that were answered are done.
function outcomes(form, rows) {
  if (rows.every((row) => !row.said && row.state !== "pending")) return location.assign(base + "approvals");
  for (const row of rows) {
    const shown = document.getElementById("row-" + row.id);
    if (!row.said || row.state !== "pending") leave(shown);
    shown.querySelector(".outcome").classList.toggle("problem", !!row.said);
    shown.querySelector(".outcome").textContent = row.said || (row.state === "pending" ? "your yes counts; it waits for " + (row.open.join(" and ") || "a second person") : row.state);
  }
  const failed = rows.filter((row) => row.said).length;
  form.querySelector("[role=alert]").textContent = failed ? failed + " of " + rows.length + " not answered: see there" : "";
}

// leave has a row take no part any more.
function leave(row) {
  row.classList.add("gone");
  for (const input of row.querySelectorAll("input")) {
    if (input.type === "checkbox") input.checked = false;
    input.disabled = true;
  }
  choose();
}

// choose counts the rows that take part; what is excluded needs nothing typed.
function choose() {
  const rows = [...document.querySelectorAll("[data-row]")];
  let chosen = 0;
  for (const row of rows) {
    const pick = row.querySelector("input[type=checkbox]");
    const typed = row.querySelector("input:not([type=checkbox])");
    if (typed) typed.disabled = !pick.checked;
    if (pick.checked) chosen++;
  }
  for (const count of document.querySelectorAll("[data-chosen]")) {
    count.textContent = chosen;
    count.closest("button").disabled = chosen === 0;
  }
}
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-row] input[type=checkbox]")) choose();
});

// Enter in a row goes on to the next: the first button of the form is no.
for (const type of ["keydown", "keypress", "keyup"]) document.addEventListener(type, (event) => {
  if (event.key !== "Enter" || !event.target.matches("[data-row] input")) return;
  event.preventDefault();
  if (type !== "keyup") return;
  const all = [...document.querySelectorAll("[data-row] input:enabled, button[data-approve]")];
  all[all.indexOf(event.target) + 1]?.focus();
});

// A grant says what it would have done while it is put together.
let asking;
document.addEventListener("input", (event) => {
  const form = event.target.closest("[data-forecast]");
  if (!form || event.target.name === "typed") return;
  if (event.target.matches("select")) event.target.nextElementSibling.hidden = !["most", "like"].includes(event.target.value);
  clearTimeout(asking);
  asking = setTimeout(async () => {
    try {
      say(form, (await post(form.getAttribute("action"), { ...Object.fromEntries(new FormData(form)), sure: "" })).lines);
    } catch (error) {
      say(form, [error.message]);
    }
  }, 400);
});

// say shows in a form what its act has found out.
function say(form, lines) {
  form.querySelector("output").replaceChildren(...lines.map((text) => {
    const p = document.createElement("p");
    p.textContent = text;
    return p;
  }));
}

// toAnswer goes to an answer of a card: to yes, to no, or to less.
function toAnswer(which) {
  const element = document.querySelector("[data-" + which + "]");
  if (!element) return false;
  for (let folded = element.closest("details:not([open])"); folded; folded = element.closest("details:not([open])")) folded.open = true;
  element.focus();
  return true;
}

// Keys: j and k go through a list, Enter opens, a, d and n go to the answers, also
// from the list; g then a letter goes to a page.
let going = false;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=checkbox]), textarea, select")) return;
  const items = [...document.querySelectorAll("[data-item]")];
  const at = items.indexOf(document.activeElement);
  if (going) {
    going = false;
    const link = document.querySelector(`nav [data-key="${CSS.escape(event.key)}"]`);
    if (link) link.click();
    return;
  }
  const focus = (selector) => {
    const element = document.querySelector(selector);
    if (element) {
      element.focus();
      event.preventDefault();
    }
  };
  switch (event.key) {
    case "j": if (items.length) items[Math.min(at + 1, items.length - 1)].focus(); break;
    case "k": if (items.length) items[Math.max(at - 1, 0)].focus(); break;
    case "a": case "d": case "n": {
      const which = { a: "approve", d: "deny", n: "narrow" }[event.key];
      if (at >= 0 && items[at].href) location.assign(items[at].href.replace(/#.*/, "") + "#" + which);
      else if (toAnswer(which)) event.preventDefault();
      break;
    }
    case "/": focus(".filter input"); break;
    case "r": refresh(true); break;
    case "g": going = true; setTimeout(() => (going = false), 1500); break;
  }
});

// here is the address of what is shown: of equal questions that of one that is still
// there, whichever the page was named for.
function here() {
  const row = document.querySelector("[data-row]:not(.gone)");
  return row ? base + "approvals/" + row.id.slice("row-".length) + "/equal" : location.href;
}

// refresh fetches this page again and puts its live parts in place, unless
// somebody is at work in one of them.
let fetching = false, again = false;
async function refresh(anyway) {
  if (fetching) {
    again = true;
    return;
  }
  fetching = true;
  try {
    const response = await fetch(here(), { credentials: "same-origin", headers: { Accept: "text/html", "X-Sallyport-Live": "1" } });
    if (!response.ok || response.redirected) return;
    const next = new DOMParser().parseFromString(await response.text(), "text/html");
    document.title = next.title;
    countdown(next);
    countdown(document);
    for (const part of document.querySelectorAll("[data-live]")) {
      const now = next.getElementById(part.id);
      if (!now && part.dataset.row !== undefined && !part.classList.contains("gone")) {
        leave(part);
        part.querySelector(".outcome").textContent = "answered, closed or no longer equal meanwhile";
      }
      if (!now || now.isEqualNode(part) || part.classList.contains("gone")) continue;
      const active = document.activeElement;
      const typed = [...part.querySelectorAll("input, textarea")].some((input) => input.value !== input.defaultValue || input.checked !== input.defaultChecked);
      const busy = typed || (part.contains(active) && active.matches("input, textarea, select"));
      if (busy && !anyway) {
        document.getElementById("stale").hidden = false;
        continue;
      }
      const focused = part.contains(active) && active.getAttribute("href");
      part.replaceWith(now);
      if (focused) now.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
    }
    if (anyway) document.getElementById("stale").hidden = true;
  } finally {
    fetching = false;
    if (again) {
      again = false;
      refresh(false);
    }
  }
}

// A page that is left lets go of its stream, also where the browser keeps the
// page for the way back: it has six connections to a site and no more.
const hears = document.body.dataset.hears;
let events;
function listen() {
  events = new EventSource(base + "events?from=" + document.body.dataset.from);
  events.onmessage = (event) => {
    if (event.data === "asked" || hears === "grown") refresh(false);
  };
}
if (hears) {
  listen();
  window.addEventListener("pagehide", () => events.close());
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    listen();
    refresh(false);
  });
}

// On a phone the list of pages is wider than the window.
document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// The answer that is at hand is no, unless another was asked for; the card stays
// where it is read from.
if (!/^#(approve|deny|narrow)$/.test(location.hash) || !toAnswer(location.hash.slice(1))) document.querySelector("[data-deny]")?.focus({ preventScroll: true });

// countdown says how much time is left to answer, or until others may. What is over
// then is fetched.
const over = new Set();
function countdown(page) {
  for (const element of page.querySelectorAll("time[data-until], time[data-from]")) {
    const left = Math.ceil((new Date(element.dateTime) - Date.now()) / 1000);
    const time = left < 90 ? left + " s" : left < 5400 ? Math.round(left / 60) + " min" : Math.round(left / 3600) + " h";
    const until = element.dataset.until !== undefined;
    element.textContent = left <= 0 ? (until ? "over" : "now") : until ? time + " left" : "in " + time;
    if (left > 0 || page !== document || over.has(element.dateTime)) continue;
    over.add(element.dateTime);
    setTimeout(refresh, 1000, false); // the gateway's clock counts
  }
}
countdown(document);
setInterval(countdown, 1000, document);

// A view of the kill's name follows the choice, so that it is known what to type.
const scope = document.querySelector("select[name=Scope]");
if (scope) {
  const say = () => (document.getElementById("type-this").textContent = scope.selectedOptions[0].textContent);
  scope.addEventListener("change", say);
  say();
}
