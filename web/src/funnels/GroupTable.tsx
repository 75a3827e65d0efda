import { Swatch } from "../charts/Swatch.tsx";
import { fullNumber, percent } from "../format.ts";
import { type Bar, type GroupBars, lastRequired } from "./bars.ts";

function Cells({ bars }: { bars: Bar[] }) {
  return (
    <>
      <td className="amount">{percent(lastRequired(bars)?.share ?? null)}</td>
      {bars.map((bar) => (
        <td key={bar.place} className="amount">
          {fullNumber(bar.count)}
          {bar.change !== null && <span className="quiet small cell-more"> {percent(bar.change.conversion)}</span>}
        </td>
      ))}
    </>
  );
}

/** Every value of the breakdown, with all steps; the whole first. */
export function GroupTable({ breakdown, bars, groups }: { breakdown: string; bars: Bar[]; groups: GroupBars[] }) {
  return (
    // A region that scrolls must be reachable by keyboard.
    // eslint-disable-next-line jsx-a11y-x/no-noninteractive-tabindex
    <section className="panel table tabular" aria-label="Table" tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">{breakdown}</th>
            <th scope="col" className="amount">
              Converted
            </th>
            {bars.map((bar) => (
              <th key={bar.place} scope="col" className="amount" title={bar.name}>
                {bar.place} {bar.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          <tr>
            <th scope="row">
              <strong>All</strong>
            </th>
            <Cells bars={bars} />
          </tr>
          {groups.map((group) => (
            <tr key={JSON.stringify(group.group)}>
              <th scope="row" title={group.name}>
                <Swatch series={group} />
                {group.name}
              </th>
              <Cells bars={group.bars} />
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
