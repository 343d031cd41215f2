// Dark or light: the system's choice until a person makes another, which this browser remembers.

const KEY = "ipa-theme";

export function rememberedTheme() {
  const theme = localStorage.getItem(KEY);
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
}

export function flipTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem(KEY, root.dataset.theme);
}
