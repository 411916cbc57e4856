// What the server sends for charts, and how numbers and times of it are written.

export interface Chart {
  title: string;
  unit: string;
  kind: "bars" | "line" | "steps" | "level";
  x: number[];
  series: { label: string; y: (number | null)[] }[];
  /** The last bar's hour or day is not over. */
  unfinished?: boolean;
  small?: boolean;
  href?: string;
}

export interface Charts {
  zone: string;
  charts: Chart[];
}

/** A number with its unit, as the page's language writes it; a dash where there is none. */
export function withUnit(value: number | null | undefined, unit: string, lang: string): string {
  if (value === null || value === undefined) return "–";
  const text = new Intl.NumberFormat(lang, { maximumFractionDigits: 2 }).format(value);
  return unit ? `${text} ${unit}` : text;
}

/** Seconds since 1970 as a meter's local time. */
export function localTime(seconds: number, zone: string): string {
  const parts = new Intl.DateTimeFormat("sv-SE", {
    timeZone: zone, dateStyle: "short", timeStyle: "short",
  });
  return parts.format(new Date(seconds * 1000));
}

const DAY = 86_400;

/**
 * What stands under a chart's time axis: days where the steps are days; else hours, with the day
 * below the first of them and below each midnight.
 */
export function ticks(splits: number[], step: number, zone: string, lang: string): string[] {
  const day = new Intl.DateTimeFormat(lang, { timeZone: zone, day: "numeric", month: "short" });
  const timeStyle = step < 60 ? "medium" : "short";
  const hour = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, timeStyle });
  return splits.map((seconds, index) => {
    const at = new Date(seconds * 1000);
    if (step >= DAY) return day.format(at);
    const time = hour.format(at);
    return index === 0 || /^00:00(:00)?$/.test(time) ? `${time}\n${day.format(at)}` : time;
  });
}

/** The seconds between bars: the least between neighbours, an hour where there is but one. */
export function barStep(x: number[]): number {
  const steps = x.slice(1).map((at, index) => at - (x[index] ?? at)).filter((step) => step > 0);
  return steps.length ? Math.min(...steps) : 3_600;
}

/** The last value that is one, with its time; of a whole hour or day where there is such. */
export function last(chart: Chart): { at: number; value: number } | null {
  const values = chart.series[0]?.y ?? [];
  const whole = chart.unfinished && values.length > 1 ? values.length - 1 : values.length;
  for (let index = whole - 1; index >= 0; index -= 1) {
    const value = values[index];
    const at = chart.x[index];
    if (value !== null && value !== undefined && at !== undefined) return { at, value };
  }
  return null;
}
