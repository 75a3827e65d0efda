import { useComputedColorScheme } from "@mantine/core";
import { BarChart, LineChart } from "echarts/charts";
import { GridComponent, TooltipComponent } from "echarts/components";
import * as echarts from "echarts/core";
import { LabelLayout } from "echarts/features";
import { CanvasRenderer } from "echarts/renderers";
import { useEffect, useRef } from "react";

import { readTheme } from "../charts/theme.ts";
import { type ChartLook, chartHeight, chartOption } from "./chartOption.ts";
import type { ChartData } from "./series.ts";

echarts.use([BarChart, LineChart, GridComponent, TooltipComponent, LabelLayout, CanvasRenderer]);

/** One chart on a canvas; it keeps its place and size while its data changes. */
export default function Chart({ data, look, title }: { data: ChartData; look: ChartLook; title: string }) {
  const element = useRef<HTMLDivElement>(null);
  const chart = useRef<echarts.ECharts | null>(null);
  const scheme = useComputedColorScheme("light");
  useEffect(() => {
    if (element.current === null) return undefined;
    const made = echarts.init(element.current);
    const observer = new ResizeObserver(() => {
      made.resize();
    });
    observer.observe(element.current);
    chart.current = made;
    return () => {
      observer.disconnect();
      made.dispose();
      chart.current = null;
    };
  }, []);
  useEffect(() => {
    chart.current?.setOption(chartOption(data, look, readTheme(scheme)), { notMerge: true });
  }, [data, look, scheme]);
  return <div ref={element} className="chart" role="img" aria-label={`${title}. The table below has every value.`} style={{ height: chartHeight(data, look.narrow) }} />;
}
