// The sprite: the icons that the pages use, by our name, from Tabler's outline set, and our logo.
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Our name → Tabler's. The names are those of words.py and of the templates. */
export const ICONS = {
  alerts: "bell",
  api: "code",
  arrow: "arrow-right",
  audit: "history",
  battery: "battery-3",
  card: "ticket",
  check: "check",
  clock: "clock",
  coins: "coins",
  cross: "x",
  dark: "moon",
  dash: "minus",
  devices: "cpu",
  dot: "circle",
  down: "chevron-down",
  home: "home",
  interfaces: "antenna",
  jobs: "list-check",
  light: "sun",
  live: "activity",
  log: "file-text",
  messages: "message",
  meters: "bolt",
  more: "dots",
  phone: "device-mobile",
  power: "power",
  question: "question-mark",
  send: "send",
  auto: "device-desktop",
  signout: "logout",
  tokens: "ticket",
  user: "user",
  users: "users",
  warning: "alert-triangle",
};

const LOGO =
  '<symbol id="logo" viewBox="0 0 24 24"><rect x="1" y="1" width="22" height="22" rx="6" ' +
  'fill="currentColor" opacity=".16"/><path d="M13.2 3.8L6.6 13.2h4.2l-1 7 6.8-9.6h-4.4z" ' +
  'fill="currentColor"/></symbol>';

/** The sprite as one SVG; an icon that Tabler does not have is an error. `here`: this folder. */
export function sprite(here) {
  const folder = join(here, "node_modules/@tabler/icons/icons/outline");
  const symbols = Object.entries(ICONS).map(([name, source]) => {
    const svg = readFileSync(join(folder, `${source}.svg`), "utf8");
    const inner = svg.replace(/<!--[\s\S]*?-->/g, "").replace(/^\s*<svg[^>]*>|<\/svg>\s*$/g, "");
    const shapes = inner.replace(/>\s+</g, "><").trim();
    return (
      `<symbol id="${name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" ` +
      `stroke-width="2" stroke-linecap="round" stroke-linejoin="round">${shapes}</symbol>`
    );
  });
  return `<svg xmlns="http://www.w3.org/2000/svg">${LOGO}${symbols.join("")}</svg>\n`;
}
