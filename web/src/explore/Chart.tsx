import { useComputedColorScheme } from "@mantine/core";
import { BarChart, LineChart } from "echarts/charts";
import { GridComponent, LegendComponent, TooltipComponent } from "echarts/components";
import * as echarts from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { useEffect, useRef } from "react";

import { shortNumber } from "../format.ts";
import type { ChartData } from "./series.ts";

echarts.use([BarChart, LineChart, GridComponent, LegendComponent, TooltipComponent, SVGRenderer]);

/** Okabe and Ito, "Color Universal Design" (2008): told apart by colour-blind readers; darker yellow so that it shows on white. */
const PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#b8860b", "#7a5195", "#e69f00"];
const GREY = "#8b8f99";

function timeLabel(time: string, times: string[]): string {
  const daily = times.every((other) => other.slice(11, 16) === "00:00");
  const [, month, day] = time.slice(0, 10).split("-");
  return daily ? `${month ?? ""}-${day ?? ""}` : `${month ?? ""}-${day ?? ""} ${time.slice(11, 16)}`;
}

function option(data: ChartData, dark: boolean): echarts.EChartsCoreOption {
  const text = dark ? "#9da1ad" : "#5f6370";
  const line = dark ? "#2f3136" : "#e4e4e8";
  const overTime = data.times.length > 0;
  const axis = { axisLabel: { color: text, hideOverlap: true }, axisLine: { lineStyle: { color: line } }, axisTick: { show: false } };
  const values = { type: "value", splitNumber: 4, axisLabel: { color: text, formatter: shortNumber }, splitLine: { lineStyle: { color: line } } };
  const names = data.series.map((series) => series.name);
  const colour = (index: number) => (data.series[index]?.other === true ? GREY : PALETTE[index % PALETTE.length]);
  return {
    animationDuration: 150,
    textStyle: { fontFamily: "system-ui, sans-serif" },
    grid: { left: 8, right: 16, top: overTime && names.length > 1 ? 40 : 12, bottom: 8, containLabel: true },
    // Drawn as text on the chart: a name that holds markup is shown, never run.
    tooltip: { trigger: "axis", renderMode: "richText", confine: true, order: "valueDesc", valueFormatter: (value: unknown) => (typeof value === "number" ? shortNumber(value) : "–") },
    ...(overTime && names.length > 1 ? { legend: { type: "scroll", top: 0, left: 0, icon: "roundRect", itemWidth: 12, itemHeight: 4, textStyle: { color: text, width: 140, overflow: "truncate" } } } : {}),
    xAxis: overTime ? { type: "category", data: data.times.map((time) => timeLabel(time, data.times)), boundaryGap: data.times.length === 1, ...axis } : values,
    yAxis: overTime ? values : { type: "category", inverse: true, data: names, ...axis, axisLabel: { color: text, width: 140, overflow: "truncate" } },
    series: overTime
      ? data.series.map((series, index) => ({
          type: data.times.length === 1 ? "bar" : "line",
          name: series.name,
          data: series.values,
          symbol: "circle",
          symbolSize: 5,
          showSymbol: data.times.length <= 12,
          lineStyle: { width: 2 },
          color: colour(index),
        }))
      : [{ type: "bar", barMaxWidth: 24, data: data.series.map((series, index) => ({ value: series.values[0], itemStyle: { color: colour(index) } })) }],
  };
}

/** Lines over time, or bars by group. */
export default function Chart({ data, title }: { data: ChartData; title: string }) {
  const element = useRef<HTMLDivElement>(null);
  const scheme = useComputedColorScheme("light");
  useEffect(() => {
    if (element.current === null) return undefined;
    const chart = echarts.init(element.current, null, { renderer: "svg" });
    chart.setOption(option(data, scheme === "dark"));
    const observer = new ResizeObserver(() => {
      chart.resize();
    });
    observer.observe(element.current);
    return () => {
      observer.disconnect();
      chart.dispose();
    };
  }, [data, scheme]);
  return <div ref={element} className="chart" role="img" aria-label={title} />;
}
