// The key "/" leads to the search field of the jobs page, from every page.
const SEARCH_PAGE = "/ui/jobs#search";
const TYPING = "input, select, textarea, [contenteditable]";

export function focusSearchOnSlash() {
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest?.(TYPING) || document.querySelector("dialog[open]");
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || isTyping) return;
    event.preventDefault();
    if (!focusSearch()) location.href = SEARCH_PAGE;
  });
  if (location.hash === "#search") focusSearch();
}

function focusSearch() {
  const field = document.getElementById("search");
  field?.select();
  field?.focus();
  return Boolean(field);
}
