// Before anything is drawn: the scheme that the person chose, else the system's. A classic script
// in the head (it imports nothing), so that no page flashes in the wrong colours.
{
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = (): void => {
    let chosen: string | null = null;
    try {
      chosen = localStorage.getItem("theme");
    } catch {
      chosen = null; // storage is forbidden: the system decides
    }
    const dark = chosen === "dark" || (chosen !== "light" && system.matches);
    root.dataset.bsTheme = dark ? "dark" : "light";
    root.dataset.theme = chosen ?? "auto";
  };
  apply();
  system.addEventListener("change", apply);
  addEventListener("gridtalk:theme", apply);
  addEventListener("storage", apply);
}
