// Forms that send a command to the server, as JSON or as a query, after a confirmation. A secret in
// the response is shown and stored nowhere.
import { askConfirmation, showNotice } from "./actions.js";
import { refresh } from "./live.js";

export function submitCommands() {
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form.command");
    if (!form) return;
    event.preventDefault();
    const button = form.querySelector("button");
    askConfirmation(form.dataset.confirm, form.dataset).then((confirmed) => confirmed && send(form, button));
  });
}

async function send(form, button) {
  button.disabled = true;
  try {
    const response = await fetch(...buildRequest(form));
    const body = await response.json().catch(() => ({}));
    if (response.ok) showResult(form, body);
    else showNotice(errorText(body, response.status));
  } catch {
    showNotice("The server cannot be reached; nothing was changed.");
  } finally {
    button.disabled = false;
  }
}

function buildRequest(form) {
  const values = {};
  for (const field of form.elements) {
    if (!field.name || field.value === "") continue;
    values[field.name] = valueOf(field);
  }
  const url = form.getAttribute("action");
  if (form.dataset.query !== undefined) {
    const query = new URLSearchParams(values).toString();
    return [query ? `${url}?${query}` : url, { method: "POST" }];
  }
  const headers = { "Content-Type": "application/json" };
  return [url, { method: "POST", headers, body: JSON.stringify(values) }];
}

function valueOf(field) {
  if (field.dataset.list !== undefined) return [...field.selectedOptions].map((each) => each.value);
  return field.dataset.number === undefined ? field.value : Number(field.value);
}

function showResult(form, body) {
  if (form.dataset.reload !== undefined) return location.reload();
  form.reset();
  if (form.dataset.reveals === undefined) showNotice(body.message);
  else revealSecret(document.getElementById(form.dataset.reveals), body);
  refresh();
}

function revealSecret(banner, made) {
  banner.querySelector("[data-name]").textContent = made.name || made.url;
  banner.querySelector("pre").textContent = made.token || made.secret;
  banner.hidden = false;
  banner.querySelector("pre").focus();
}

function errorText(body, status) {
  const errors = (body.errors || []).map((each) => `${each.field}: ${each.message}`).join(" ");
  return errors || body.detail || `HTTP status ${status}.`;
}
