import { Swatch } from "../charts/Swatch.tsx";
import type { ChartData, ChartSeries } from "../charts/data.ts";
import { timeLabel } from "../charts/time.ts";
import { change, fullNumber, valueLabel } from "../format.ts";

const shown = (value: number | null | undefined) => (value === null || value === undefined ? "–" : fullNumber(value));

/** A change is told by sign and arrow; colour would say good or bad, which nobody knows here. */
function Change({ now, before }: { now: number | null | undefined; before: number | null | undefined }) {
  const text = typeof now === "number" && typeof before === "number" ? change(now, before) : null;
  if (text === null) return <>–</>;
  const arrow = text.startsWith("+") ? "↑" : text.startsWith("−") ? "↓" : "→";
  return (
    <>
      <span aria-hidden="true">{arrow} </span>
      {text}
    </>
  );
}

/** A row a group: its keys, its value, and the period before. */
function GroupTable({ data, keys, measure }: { data: ChartData; keys: string[]; measure: string }) {
  const compared = data.series.some((series) => series.previous !== null);
  return (
    <table>
      <thead>
        <tr>
          {keys.map((key) => (
            <th key={key} scope="col">
              {key}
            </th>
          ))}
          <th scope="col" className="amount">
            {measure}
          </th>
          {compared && (
            <>
              <th scope="col" className="amount">
                Before
              </th>
              <th scope="col" className="amount">
                Change
              </th>
            </>
          )}
        </tr>
      </thead>
      <tbody>
        {data.series.map((series) => (
          <tr key={JSON.stringify(series.group)}>
            {series.group.map((value, at) => (
              <td key={at} title={valueLabel(value)}>
                {valueLabel(value)}
              </td>
            ))}
            <td className="amount">{shown(series.values[0])}</td>
            {compared && (
              <>
                <td className="amount quiet">{shown(series.previous?.[0])}</td>
                <td className="amount">
                  <Change now={series.values[0]} before={series.previous?.[0]} />
                </td>
              </>
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface Column {
  key: string;
  head: string;
  series: ChartSeries;
  values: (number | null)[];
  before: boolean;
}

function columnsOf(data: ChartData, measure: string): Column[] {
  return data.series.flatMap((series) => {
    const head = series.group.length === 0 ? measure : series.name;
    const key = JSON.stringify(series.group);
    const now = { key, head, series, values: series.values, before: false };
    return series.previous === null ? [now] : [now, { key: `${key} before`, head: "Before", series, values: series.previous, before: true }];
  });
}

/** A row a bucket, newest first; a column a series. */
function TimeTable({ data, interval, measure }: { data: ChartData; interval: string; measure: string }) {
  const columns = columnsOf(data, measure);
  const newestFirst = data.times.map((_, at) => at).reverse();
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Time</th>
          {columns.map((column) => (
            <th key={column.key} scope="col" className="amount" title={column.head}>
              {!column.before && column.series.group.length > 0 && <Swatch series={column.series} />}
              {column.head}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {newestFirst.map((at) => (
          <tr key={data.times[at]}>
            <th scope="row">
              {timeLabel(data.times[at] ?? "", interval, true)}
              {data.partial[at] === true && <span className="quiet"> incomplete</span>}
            </th>
            {columns.map((column) => (
              <td key={column.key} className={column.before ? "amount quiet" : "amount"}>
                {shown(column.values[at])}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Every value of the chart. */
export function ResultTable({ data, keys, interval, measure }: { data: ChartData; keys: string[]; interval: string; measure: string }) {
  return (
    // A region that scrolls must be reachable by keyboard.
    // eslint-disable-next-line jsx-a11y-x/no-noninteractive-tabindex
    <section className="panel table tabular" aria-label="Table" tabIndex={0}>
      {data.times.length === 0 ? <GroupTable data={data} keys={keys} measure={measure} /> : <TimeTable data={data} interval={interval} measure={measure} />}
    </section>
  );
}
