// The charts of meters and circuits: uPlot, with each chart's numbers in a table beside it.
import "./charts.css";
import uPlot from "uplot";
import { Coalesced } from "./live";
import { barStep, last, localTime, ticks, withUnit, type Chart, type Charts } from "./series";

const lang = document.documentElement.lang || "en";

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Energy, power and credit are seen from zero; a voltage is a level, its changes matter. */
function range(kind: Chart["kind"], low: number, high: number): [number, number] {
  if (kind === "level") return [low - 1, high + 1];
  return [Math.min(0, low), high > Math.min(0, low) ? high * 1.06 : 1];
}

/** Room for the whole of the first and the last bar. */
function wide(chart: Chart, low: number, high: number): [number, number] {
  const half = barStep(chart.x) / 2;
  return [low - half, high + half];
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
    scales: {
      y: { range: (_plot, low, high) => range(chart.kind, low, high) },
      ...(chart.kind === "bars" ? { x: { range: (_plot, low, high) => wide(chart, low, high) } } : {}),
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        show: !chart.small,
        space: 64,
        values: (_plot, splits, _axis, _space, step) => ticks(splits, step, zone, lang),
      },
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

interface Figure {
  box: HTMLElement;
  draw(): void;
  /** Draws newer data in the same place; true where it could not, and all must be made anew. */
  follow(newer: Chart): boolean;
}

function figure(chart: Chart, zone: string, words: DOMStringMap): Figure {
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
    plot = null;
    if (chart.x.length === 0) {
      value.textContent = "–";
      return;
    }
    plot = new uPlot(
      options(chart, zone, Math.max(120, place.clientWidth), value), aligned(chart), place,
    );
  };
  const follow = (newer: Chart): boolean => {
    if (newer.title !== chart.title) return false;
    // The hooks and the table read the same object.
    Object.assign(chart, { x: newer.x, series: newer.series, unfinished: newer.unfinished });
    if (plot && chart.x.length > 0) {
      plot.setData(aligned(chart));
      const newest = last(chart);
      if (plot.cursor.idx === null || plot.cursor.idx === undefined) {
        value.textContent = newest ? withUnit(newest.value, chart.unit, lang) : "";
      }
    } else draw();
    return true;
  };
  return { box, draw, follow };
}

function aligned(chart: Chart): uPlot.AlignedData {
  return [chart.x, ...chart.series.map((one) => one.y)] as uPlot.AlignedData;
}

async function fetched(source: string): Promise<Charts> {
  const answer = await fetch(source, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(String(answer.status));
  return (await answer.json()) as Charts;
}

async function show(section: HTMLElement): Promise<void> {
  const grid = section.querySelector<HTMLElement>("[data-chart-grid]");
  const source = section.dataset.charts;
  if (!grid || !source) return;
  const words = grid.dataset;
  let figures: Figure[] = [];
  const lay = (found: Charts): void => {
    figures = [];
    if (found.charts.every((chart) => chart.x.length === 0)) {
      grid.textContent = words.empty ?? "";
      return;
    }
    const smallOnes = document.createElement("div");
    smallOnes.className = "small-ones";
    grid.replaceChildren();
    for (const chart of found.charts) {
      const made = figure(chart, found.zone, words);
      (chart.small ? smallOnes : grid).append(made.box);
      figures.push(made);
    }
    if (smallOnes.childElementCount) grid.append(smallOnes);
    redraw();
  };
  const redraw = (): void => figures.forEach((one) => one.draw());
  try {
    lay(await fetched(source));
  } catch {
    grid.textContent = words.failed ?? "";
    return;
  }
  let width = grid.clientWidth;
  new ResizeObserver(() => {
    if (grid.clientWidth === width) return;
    width = grid.clientWidth;
    redraw();
  }).observe(grid);
  new MutationObserver(redraw).observe(document.documentElement, {
    attributeFilter: ["data-bs-theme"],
  });
  if (!("follow" in section.dataset)) return;
  const again = new Coalesced(
    async () => {
      const { charts, zone } = await fetched(source);
      const same =
        charts.length === figures.length &&
        charts.every((chart, index) => figures[index]?.follow(chart));
      if (!same) lay({ charts, zone });
    },
    { now: () => performance.now(), after: (ms, run) => void setTimeout(run, ms) },
  );
  document.addEventListener("gridtalk:refreshed", () => again.ask());
}

for (const section of document.querySelectorAll<HTMLElement>("[data-charts]")) void show(section);
