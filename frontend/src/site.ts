import "./site.css";
import htmx from "htmx.org";
import { Coalesced, listen } from "./live";

// A strict Content-Security-Policy: htmx adds no style and evaluates nothing.
Object.assign(htmx.config, {
  includeIndicatorStyles: false,
  allowEval: false,
  allowScriptTags: false,
  selfRequestsOnly: true,
  historyEnabled: false,
});

/** The switch of the colours: as the system, light, dark. */
function themeSwitch(): void {
  const order = ["auto", "light", "dark"];
  for (const button of document.querySelectorAll<HTMLButtonElement>("[data-theme-switch]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const now = document.documentElement.dataset.theme ?? "auto";
      const next = order[(order.indexOf(now) + 1) % order.length] ?? "auto";
      if (next === "auto") localStorage.removeItem("theme");
      else localStorage.setItem("theme", next);
      dispatchEvent(new Event("gridtalk:theme"));
    });
  }
}

/** The language menu needs no button. */
function chooseAtOnce(): void {
  for (const select of document.querySelectorAll<HTMLSelectElement>("select[data-at-once]")) {
    select.addEventListener("change", () => select.form?.requestSubmit());
  }
}

/** Parts of the page that are marked with data-live follow the server. */
function live(): void {
  const topics = document.body.dataset.live;
  if (!topics) return;
  const light = document.querySelector<HTMLElement>("[data-live-light]");
  const refresh = new Coalesced(
    () => {
      const ids = [...document.querySelectorAll<HTMLElement>("[data-live-part]")]
        // What a person is using now is left alone until the next time.
        .filter((part) => !inUse(part))
        .map((part) => `#${part.id}`);
      if (ids.length === 0) return Promise.resolve();
      return htmx.ajax("get", location.pathname + location.search, {
        source: document.body,
        target: "body",
        swap: "none",
        selectOOB: ids.join(","),
      } as Parameters<typeof htmx.ajax>[2]);
    },
    { now: () => performance.now(), after: (ms, run) => void setTimeout(run, ms) },
  );
  listen(
    topics,
    () => refresh.ask(),
    (open) => light?.classList.toggle("on", open),
  );
  document.body.addEventListener("htmx:afterSettle", () => {
    document.dispatchEvent(new Event("gridtalk:refreshed"));
  });
}

/** Whether somebody types in the part, or has come to something in it with the keyboard. */
function inUse(part: HTMLElement): boolean {
  const active = document.activeElement;
  if (!active || !part.contains(active)) return false;
  return ["INPUT", "SELECT", "TEXTAREA"].includes(active.tagName) || active.matches(":focus-visible");
}

/** One menu is open at a time; a touch elsewhere closes it. */
function menus(): void {
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll<HTMLDetailsElement>("details.menu[open]")) {
      if (!menu.contains(event.target as Node)) menu.open = false;
    }
  });
}

themeSwitch();
chooseAtOnce();
menus();
live();
