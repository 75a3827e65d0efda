import { useComputedColorScheme } from "@mantine/core";
import { BarChart, LineChart } from "echarts/charts";
import { GridComponent, MarkLineComponent, TooltipComponent } from "echarts/components";
import * as echarts from "echarts/core";
import { LabelLayout } from "echarts/features";
import { CanvasRenderer } from "echarts/renderers";
import { useEffect, useRef } from "react";

import { type ChartTheme, readTheme } from "./theme.ts";

echarts.use([BarChart, LineChart, GridComponent, MarkLineComponent, TooltipComponent, LabelLayout, CanvasRenderer]);

interface ChartProps {
  /** The chart in the colours of a theme; one that stays the same is not drawn anew. */
  draw: (theme: ChartTheme) => echarts.EChartsCoreOption;
  /** What it shows and where its values are as text, for screen readers. */
  label: string;
  /** Pixels, or all the room there is. */
  height: number | "100%";
}

/** One chart on a canvas; it keeps its place and size while its data changes. */
export default function Chart({ draw, label, height }: ChartProps) {
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
    chart.current?.setOption(draw(readTheme(scheme)), { notMerge: true });
  }, [draw, scheme]);
  return <div ref={element} className="chart" role="img" aria-label={label} style={{ height }} />;
}
