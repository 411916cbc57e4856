import { describe, expect, it } from "vitest";
import { barStep, last, localTime, ticks, withUnit, type Chart } from "../src/series";

const chart = (y: (number | null)[]): Chart => ({
  title: "t", unit: "Wh", kind: "bars", x: y.map((_value, index) => index), series: [{ label: "t", y }],
});

describe("numbers of charts", () => {
  it.each([
    [12.345, "Wh", "en", "12.35 Wh"],
    [1234.5, "Wh", "fr", "1\u202f234,5 Wh"],
    [3, "", "en", "3"],
    [null, "V", "en", "–"],
    [0, "W", "en", "0 W"],
  ])("%s %s in %s is %s", (value, unit, lang, text) => {
    expect(withUnit(value, unit, lang)).toBe(text);
  });

  it("tells the meter's time, not the browser's", () => {
    expect(localTime(0, "Africa/Kampala")).toBe("1970-01-01 03:00");
    expect(localTime(0, "UTC")).toBe("1970-01-01 00:00");
  });

  it.each([
    ["days", [0, 86_400], 86_400, "UTC", "en-GB", ["1 Jan", "2 Jan"]],
    ["days in French", [0], 86_400, "UTC", "fr", ["1 janv."]],
    ["days in Chinese", [0], 86_400, "UTC", "zh-Hant", ["1月1日"]],
    ["hours", [3_600, 43_200, 86_400], 43_200, "UTC", "en-GB", ["01:00\n1 Jan", "12:00", "00:00\n2 Jan"]],
    ["seconds", [3_590, 3_600], 10, "UTC", "en-GB", ["00:59:50\n1 Jan", "01:00:00"]],
    ["the meter's hours", [75_600], 3_600, "Africa/Kampala", "en-GB", ["00:00\n2 Jan"]],
  ])("writes %s under the axis", (_label, splits, step, zone, lang, labels) => {
    expect(ticks(splits, step, zone, lang)).toEqual(labels);
  });

  it.each([
    [[0, 3_600, 7_200], 3_600],
    [[0, 14_400, 18_000], 3_600],
    [[5], 3_600],
    [[], 3_600],
    [[0, 86_400], 86_400],
  ])("knows how far bars are apart: %s", (x, step) => {
    expect(barStep(x)).toBe(step);
  });

  it("knows the last value", () => {
    expect(last(chart([1, 2, null]))).toEqual({ at: 1, value: 2 });
    expect(last(chart([0]))).toEqual({ at: 0, value: 0 });
    expect(last(chart([null]))).toBeNull();
    expect(last(chart([]))).toBeNull();
    expect(last({ ...chart([3, 1]), unfinished: true })).toEqual({ at: 0, value: 3 });
    expect(last({ ...chart([1]), unfinished: true })).toEqual({ at: 0, value: 1 });
  });
});
