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
    const action = form.getAttribute("action");
    if (form.dataset.act === "passkey" || (event.submitter && event.submitter.dataset.passkey !== undefined))
      return go(await passkey(form.dataset.begin || action, form.dataset.shown || action + "/shown", fields));
    const answer = await post(action, fields);
    if (answer.lines) say(form, answer.lines);
    else go(answer);
  });
});

// say shows in a form what its act has found out.
function say(form, lines) {
  form.querySelector("output").replaceChildren(...lines.map((text) => {
    const p = document.createElement("p");
    p.textContent = text;
    return p;
  }));
}

// Keys: j and k go through a list, Enter opens, a and d go to the answers, g
// then a letter goes to a page.
let going = false;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
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
    case "a": focus("[data-approve]"); break;
    case "d": focus("[data-deny]"); break;
    case "/": focus(".filter input"); break;
    case "r": refresh(true); break;
    case "g": going = true; setTimeout(() => (going = false), 1500); break;
  }
});

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
    const response = await fetch(location.href, { credentials: "same-origin", headers: { Accept: "text/html", "X-Sallyport-Live": "1" } });
    if (!response.ok || response.redirected) return;
    const next = new DOMParser().parseFromString(await response.text(), "text/html");
    document.title = next.title;
    for (const part of document.querySelectorAll("[data-live]")) {
      const now = next.getElementById(part.id);
      if (!now || now.isEqualNode(part)) continue;
      const active = document.activeElement;
      const typed = [...part.querySelectorAll("input, textarea")].some((input) => input.value !== input.defaultValue);
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
    countdown();
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

// The answer that is at hand is no; the card stays where it is read from.
document.querySelector("[data-deny]")?.focus({ preventScroll: true });

// countdown says how much time is left to answer.
function countdown() {
  for (const element of document.querySelectorAll("time[data-until]")) {
    const left = Math.round((new Date(element.dateTime) - Date.now()) / 1000);
    element.textContent = left <= 0 ? "over" : left < 90 ? left + " s left" : Math.round(left / 60) + " min left";
  }
}
countdown();
setInterval(countdown, 1000);

// A view of the kill's name follows the choice, so that it is known what to type.
const scope = document.querySelector("select[name=Scope]");
if (scope) {
  const say = () => (document.getElementById("type-this").textContent = scope.selectedOptions[0].textContent);
  scope.addEventListener("change", say);
  say();
}
