import { shortNumber } from "../format.ts";
import type { ChartTheme } from "./theme.ts";

/** Hatching of a period that is not over. */
export const hatch = (theme: ChartTheme) => ({ symbol: "rect", color: theme.surface, dashArrayX: [1, 0], dashArrayY: [2, 4], rotation: -Math.PI / 4 });

/** What axes of every chart share; values begin at zero, and below it in steps as round as above. */
export function axes(theme: ChartTheme, formatter: (value: number) => string = shortNumber) {
  const base = { axisLine: { show: true, lineStyle: { color: theme.line } }, axisTick: { show: false } };
  const label = { color: theme.quiet, fontSize: 12, fontFamily: theme.font };
  const values = { type: "value", splitNumber: 3, axisLine: { show: false }, axisLabel: { ...label, formatter }, splitLine: { lineStyle: { color: theme.line } } };
  return { base, label, values };
}

function place(parameters: unknown): number {
  const first: unknown = Array.isArray(parameters) ? parameters[0] : parameters;
  return typeof first === "object" && first !== null && "dataIndex" in first && typeof first.dataIndex === "number" ? first.dataIndex : 0;
}

/** Motion and tooltip of every chart; `tip` makes the tooltip of a place on the axis. */
export function frame(theme: ChartTheme, pointer: "line" | "shadow", tip: (at: number) => HTMLElement) {
  return {
    animation: !theme.still,
    animationDuration: 150,
    animationDurationUpdate: 150,
    textStyle: { fontFamily: theme.font },
    tooltip: {
      trigger: "axis",
      confine: true,
      transitionDuration: 0,
      backgroundColor: "transparent",
      borderWidth: 0,
      padding: 0,
      extraCssText: "box-shadow: none",
      axisPointer: { type: pointer, lineStyle: { color: theme.quiet, type: "solid" }, shadowStyle: { color: theme.quiet, opacity: 0.08 }, animation: false },
      formatter: (parameters: unknown) => tip(place(parameters)),
    },
  };
}
