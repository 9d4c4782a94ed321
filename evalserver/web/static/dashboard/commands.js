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
    values[field.name] = field.dataset.number === undefined ? field.value : Number(field.value);
  }
  const url = form.getAttribute("action");
  if (form.dataset.query !== undefined) {
    const query = new URLSearchParams(values).toString();
    return [query ? `${url}?${query}` : url, { method: "POST" }];
  }
  const headers = { "Content-Type": "application/json" };
  return [url, { method: "POST", headers, body: JSON.stringify(values) }];
}

function showResult(form, body) {
  if (form.dataset.reload !== undefined) return location.reload();
  form.reset();
  if (form.dataset.reveals === undefined) showNotice(body.message);
  else revealToken(body);
  refresh();
}

function revealToken(token) {
  const banner = document.getElementById("revealed");
  banner.querySelector("[data-name]").textContent = token.name;
  banner.querySelector("pre").textContent = token.token;
  banner.hidden = false;
  banner.querySelector("pre").focus();
}

function errorText(body, status) {
  const errors = (body.errors || []).map((each) => `${each.field}: ${each.message}`).join(" ");
  return errors || body.detail || `HTTP status ${status}.`;
}
