// Buttons that change something: each asks for confirmation and shows the server's response.
import { refresh } from "./live.js";

const NOTICE_MS = 8000;
const COPIED_MS = 1500;
const MAX_COMPARED = 10;

export function confirmActions() {
  document.body.addEventListener("htmx:confirm", (event) => {
    event.preventDefault();
    const button = event.target;
    const danger = button.classList.contains("danger");
    askConfirmation(event.detail.ctx.confirm, { ...button.dataset, danger }).then((confirmed) =>
      confirmed ? event.detail.issueRequest() : event.detail.dropRequest(),
    );
  });
  document.body.addEventListener("htmx:before:request", (event) => {
    const { ctx } = event.detail;
    if (ctx.request.method === "GET") return;
    // The API accepts JSON or no body and rejects the form encoding that htmx would send.
    const body = ctx.sourceElement.dataset.body;
    ctx.request.body = body || null;
    if (body) ctx.request.headers["Content-Type"] = "application/json";
    else delete ctx.request.headers["Content-Type"];
  });
  document.body.addEventListener("htmx:after:request", (event) => {
    const { ctx } = event.detail;
    if (ctx.request.method !== "GET" && ctx.response?.raw.ok) {
      showResponse(ctx);
      refresh();
    }
  });
  document.body.addEventListener("htmx:response:error", (event) => {
    const { ctx } = event.detail;
    if (ctx.request.method !== "GET") showResponse(ctx);
  });
  document.body.addEventListener("htmx:error", (event) => {
    const method = event.detail.ctx?.request?.method;
    if (method && method !== "GET") showNotice("The server cannot be reached; nothing was changed.");
  });
}

export function copyOnClick() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const label = button.textContent;
    const text = button.parentElement.querySelector("pre").textContent;
    button.textContent = (await copyText(text)) ? "Copied" : "Select the text and copy it";
    setTimeout(() => (button.textContent = label), COPIED_MS);
  });
}

export function enableCompareButton() {
  const update = () => {
    const selected = document.querySelectorAll('input[name="job"]:checked').length;
    const button = document.getElementById("compare");
    if (!button) return;
    button.disabled = selected < 2 || selected > MAX_COMPARED;
    button.textContent = selected > 1 ? `Compare ${selected} jobs` : "Compare";
  };
  document.addEventListener("change", (event) => event.target.name === "job" && update());
  document.body.addEventListener("htmx:after:swap", update);
  window.addEventListener("pageshow", update);
  update();
}

export function showNotice(text) {
  const notice = document.createElement("p");
  notice.className = "notice";
  notice.textContent = text;
  document.getElementById("notices").append(notice);
  setTimeout(() => notice.remove(), NOTICE_MS);
}

function showResponse(ctx) {
  let body = {};
  try {
    body = JSON.parse(ctx.text);
  } catch {
    // Not JSON: the response is a proxy's.
  }
  const backup = body.path && `Backup written to ${body.path}`;
  showNotice(body.message || body.detail || backup || `HTTP status ${ctx.response.raw.status}.`);
}

export function askConfirmation(question, { detail = "", yes: label = "Confirm", danger = false }) {
  const dialog = document.getElementById("confirm");
  document.getElementById("confirm-question").textContent = question;
  document.getElementById("confirm-detail").textContent = detail;
  const yes = document.getElementById("confirm-yes");
  yes.textContent = label;
  yes.classList.toggle("danger", danger);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Browsers allow clipboard access only on loopback and over TLS.
    return false;
  }
}
