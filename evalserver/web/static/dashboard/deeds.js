// Forms that have the server do something: asked about before, sent as JSON or as a query, answered
// in words. A secret that the answer has is shown, and nowhere kept.
import { ask, notice } from "./actions.js";
import { refresh } from "./live.js";

export function sendDeeds() {
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form.deed");
    if (!form) return;
    event.preventDefault();
    const button = form.querySelector("button");
    ask(form.dataset.confirm, form.dataset).then((yes) => yes && send(form, button));
  });
}

async function send(form, button) {
  button.disabled = true;
  try {
    const answer = await fetch(...request(form));
    const said = await answer.json().catch(() => ({}));
    if (!answer.ok) notice(refusal(said, answer.status));
    else told(form, said);
  } catch {
    notice("The server cannot be reached, so nothing was changed.");
  } finally {
    button.disabled = false;
  }
}

function request(form) {
  const given = {};
  for (const field of form.elements) {
    if (!field.name || field.value === "") continue;
    given[field.name] = field.dataset.number === undefined ? field.value : Number(field.value);
  }
  const address = form.getAttribute("action");
  if (form.dataset.query !== undefined) {
    const query = new URLSearchParams(given).toString();
    return [query ? `${address}?${query}` : address, { method: "POST" }];
  }
  const headers = { "Content-Type": "application/json" };
  return [address, { method: "POST", headers, body: JSON.stringify(given) }];
}

function told(form, said) {
  if (form.dataset.reload !== undefined) return location.reload();
  form.reset();
  if (form.dataset.reveals === undefined) notice(said.message);
  else reveal(said);
  refresh();
}

function reveal(said) {
  const place = document.getElementById("revealed");
  place.querySelector("[data-name]").textContent = said.name;
  place.querySelector("pre").textContent = said.token;
  place.hidden = false;
  place.querySelector("pre").focus();
}

function refusal(said, status) {
  const faults = (said.errors || []).map((each) => `${each.field}: ${each.message}`).join(" ");
  return faults || said.detail || `The server answered ${status}.`;
}
