"use strict";
// Passkeys, news of what waits, and the reader's own time. All else works
// without this file.

let leaving = false; // for another page, with what the user has chosen, once
addEventListener("submit", e => {
  if (leaving) e.preventDefault();
  leaving = true;
});
addEventListener("pageshow", () => { leaving = false; });

const token = form => form.querySelector("input[name=token]").value;

// options asks the gateway for what the browser needs to know.
async function options(path, form) {
  const body = new URLSearchParams({ token: token(form) });
  const answer = await fetch(path, { method: "POST", body, redirect: "error" });
  if (!answer.ok) throw new Error(answer.status);
  return answer.json();
}

// passkey fills a form with what a passkey says, and sends it.
function passkey(button, field, ask) {
  const form = button.closest("form");
  if (!window.PublicKeyCredential || !PublicKeyCredential.parseRequestOptionsFromJSON) {
    const missing = form.querySelector("[data-passkey-missing]");
    if (missing) missing.hidden = false;
    return;
  }
  const failed = form.querySelector("[data-passkey-failed]");
  button.hidden = false;
  button.addEventListener("click", async () => {
    if (!form.reportValidity()) return;
    failed.hidden = true;
    button.disabled = true;
    try {
      const given = await options(button.dataset.passkey || button.dataset.newPasskey, form);
      const credential = await ask(given.options.publicKey);
      form.elements.challenge.value = given.challenge;
      form.elements[field].value = JSON.stringify(credential);
      leaving = true;
      if (form.elements.code) form.elements.code.value = "";
      HTMLFormElement.prototype.submit.call(form);
    } catch {
      failed.hidden = false;
      button.disabled = false;
    }
  });
}

for (const b of document.querySelectorAll("[data-passkey]"))
  passkey(b, "assertion", o => navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(o) }));
for (const b of document.querySelectorAll("[data-new-passkey]"))
  passkey(b, "attestation", o => navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(o) }));

for (const t of document.querySelectorAll("time[data-local]"))
  t.textContent = new Date(t.dateTime).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

if (window.Intl && Intl.DisplayNames) {
  const names = new Intl.DisplayNames([], { type: "region" });
  for (const s of document.querySelectorAll("[data-country]"))
    if (/^[A-Z]{2}$/.test(s.textContent)) s.textContent = names.of(s.textContent);
}

// What waits has changed: show it, unless the user is typing.
const feed = document.body.dataset.events;
const anew = () => location.replace("/"); // to reload might send a form again
if (feed) {
  const events = new EventSource(feed);
  events.addEventListener("waiting", e => {
    if (leaving || e.data === document.body.dataset.seen) return;
    const typing = [...document.querySelectorAll("main input:not([type=hidden])")].some(i => i.value);
    if (!typing) anew();
    else document.getElementById("news").hidden = false;
  });
  events.addEventListener("end", () => { events.close(); anew(); });
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) document.getElementById("still").hidden = false;
  });
}
