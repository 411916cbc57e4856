// The charts of meters and circuits: uPlot, with each chart's numbers in a table beside it.
import "./charts.css";
import uPlot from "uplot";
import { last, localTime, withUnit, type Chart, type Charts } from "./series";

const lang = document.documentElement.lang || "en";

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Energy, power and credit are seen from zero; a voltage is a level, its changes matter. */
function range(kind: Chart["kind"], low: number, high: number): [number, number] {
  if (kind === "level") return [low - 1, high + 1];
  return [Math.min(0, low), high > Math.min(0, low) ? high * 1.06 : 1];
}

function options(chart: Chart, zone: string, width: number, value: HTMLElement): uPlot.Options {
  const soft = colour("--soft");
  const line = colour("--tblr-border-color");
  const accent = colour("--tblr-primary");
  const paths = uPlot.paths;
  const shape =
    chart.kind === "bars" ? paths.bars?.({ size: [0.7, 40] })
    : chart.kind === "steps" ? paths.stepped?.({ align: 1 })
    : paths.linear?.();
  const axis = { stroke: soft, grid: { stroke: line, width: 1 }, ticks: { show: false } };
  const newest = last(chart);
  const atRest = newest ? withUnit(newest.value, chart.unit, lang) : "";
  value.textContent = atRest;
  return {
    width,
    height: chart.small ? 90 : 190,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { y: { range: (_plot, low, high) => range(chart.kind, low, high) } },
    axes: [
      { ...axis, grid: { show: false }, show: !chart.small },
      { ...axis, size: 46, show: !chart.small },
    ],
    series: [
      {},
      {
        label: chart.title,
        stroke: accent,
        width: 1.5,
        fill: chart.kind === "bars" ? `${accent}aa` : `${accent}22`,
        points: { show: false },
        spanGaps: false,
        ...(shape ? { paths: shape } : {}),
      },
    ],
    hooks: {
      setCursor: [
        (plot) => {
          const index = plot.cursor.idx;
          const at = index === null || index === undefined ? undefined : chart.x[index];
          value.textContent =
            at === undefined ? atRest
            : `${withUnit(chart.series[0]?.y[index ?? 0], chart.unit, lang)} · ${localTime(at, zone)}`;
        },
      ],
    },
  };
}

function asTable(chart: Chart, zone: string, words: DOMStringMap): HTMLDetailsElement {
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  summary.textContent = words.table ?? "";
  details.append(summary);
  details.addEventListener("toggle", () => {
    if (!details.open || details.childElementCount > 1) return;
    const scroll = document.createElement("div");
    scroll.className = "scroll";
    scroll.tabIndex = 0;
    const table = document.createElement("table");
    table.className = "table";
    const head = table.createTHead().insertRow();
    for (const text of [words.time ?? "", chart.title]) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = text;
      head.append(cell);
    }
    const body = table.createTBody();
    chart.x.forEach((at, index) => {
      const row = body.insertRow();
      row.insertCell().textContent = localTime(at, zone);
      const cell = row.insertCell();
      cell.className = "n";
      cell.textContent = withUnit(chart.series[0]?.y[index], chart.unit, lang);
    });
    scroll.append(table);
    details.append(scroll);
  });
  return details;
}

function figure(chart: Chart, zone: string, words: DOMStringMap): [HTMLElement, () => void] {
  const box = document.createElement("figure");
  box.className = "chart";
  const caption = document.createElement("figcaption");
  const title = document.createElement(chart.href ? "a" : "span");
  if (chart.href) title.setAttribute("href", chart.href);
  title.textContent = chart.title;
  const value = document.createElement("span");
  value.className = "value";
  caption.append(title, value);
  const place = document.createElement("div");
  place.setAttribute("aria-hidden", "true");
  box.append(caption, place);
  if (!chart.small) box.append(asTable(chart, zone, words));
  let plot: uPlot | null = null;
  const draw = (): void => {
    plot?.destroy();
    if (chart.x.length === 0) {
      value.textContent = "–";
      return;
    }
    const data = [chart.x, ...chart.series.map((one) => one.y)] as uPlot.AlignedData;
    plot = new uPlot(options(chart, zone, Math.max(120, place.clientWidth), value), data, place);
  };
  return [box, draw];
}

async function show(section: HTMLElement): Promise<void> {
  const grid = section.querySelector<HTMLElement>("[data-chart-grid]");
  const source = section.dataset.charts;
  if (!grid || !source) return;
  const words = grid.dataset;
  let found: Charts;
  try {
    const answer = await fetch(source, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(String(answer.status));
    found = (await answer.json()) as Charts;
  } catch {
    grid.textContent = words.failed ?? "";
    return;
  }
  if (found.charts.every((chart) => chart.x.length === 0)) {
    grid.textContent = words.empty ?? "";
    return;
  }
  const smallOnes = document.createElement("div");
  smallOnes.className = "small-ones";
  const draws: (() => void)[] = [];
  grid.replaceChildren();
  for (const chart of found.charts) {
    const [box, draw] = figure(chart, found.zone, words);
    (chart.small ? smallOnes : grid).append(box);
    draws.push(draw);
  }
  if (smallOnes.childElementCount) grid.append(smallOnes);
  const redraw = (): void => draws.forEach((draw) => draw());
  redraw();
  let width = grid.clientWidth;
  new ResizeObserver(() => {
    if (grid.clientWidth === width) return;
    width = grid.clientWidth;
    redraw();
  }).observe(grid);
  new MutationObserver(redraw).observe(document.documentElement, {
    attributeFilter: ["data-bs-theme"],
  });
}

for (const section of document.querySelectorAll<HTMLElement>("[data-charts]")) void show(section);
