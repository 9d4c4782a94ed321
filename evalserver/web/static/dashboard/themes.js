// The choice of a theme: the system's, light or dark. theme.js applies it to the next pages.
const KEY = "theme";

export function offerThemes() {
  const select = document.getElementById("theme");
  const root = document.documentElement;
  select.value = root.dataset.theme || "system";
  select.closest("[hidden]").hidden = false;
  select.addEventListener("change", () => {
    root.dataset.theme = select.value;
    remember(select.value);
    document.dispatchEvent(new Event("theme"));
  });
}

function remember(theme) {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // The browser keeps nothing for this site: the choice holds for this page.
  }
}
