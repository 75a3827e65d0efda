import { useComputedColorScheme } from "@mantine/core";
import type { CSSProperties } from "react";

import { OTHER_COLOUR, SERIES_COLOURS } from "../charts/palette.ts";
import { duration, fullNumber, percent, shortNumber } from "../format.ts";
import type { Bar, GroupBars } from "./bars.ts";
import type { Shown } from "./funnel.ts";

interface BarsProps {
  bars: Bar[];
  groups: GroupBars[];
  /** "persons" or "attempts". */
  unit: string;
  /** Opens the persons behind a number, where they can be shown. */
  onShow?: ((shown: Shown) => void) | undefined;
}

const share = (value: number) => ({ "--share": value.toFixed(4) }) as CSSProperties;

const opens = (onShow: BarsProps["onShow"], shown: Shown) =>
  onShow === undefined
    ? undefined
    : () => {
        onShow(shown);
      };

/** What reached the step, and above it what was lost since the step before; the numbers below say the same and can be reached by keyboard. */
function WholeBar({ bar, onShow }: Pick<BarsProps, "onShow"> & { bar: Bar }) {
  const lost = bar.change?.lostShare ?? 0;
  return (
    <div className="bar-track">
      {lost > 0 && (
        <button
          type="button"
          tabIndex={-1}
          aria-hidden="true"
          className="bar-lost"
          style={share(bar.share + lost)}
          onClick={() => {
            onShow?.({ step: bar.place, outcome: "dropped" });
          }}
        />
      )}
      {bar.count > 0 && (
        <button
          type="button"
          tabIndex={-1}
          aria-hidden="true"
          className="bar-reached"
          style={share(bar.share)}
          onClick={() => {
            onShow?.({ step: bar.place, outcome: "reached" });
          }}
        />
      )}
    </div>
  );
}

/** A narrow bar a value, each of those who entered with it. */
function SplitBar({ groups, at }: { groups: GroupBars[]; at: number }) {
  const scheme = useComputedColorScheme("light");
  return (
    <div className="bar-track bar-split" aria-hidden="true">
      {groups.map((group) => {
        const bar = group.bars[at];
        const colour = group.other ? OTHER_COLOUR[scheme] : SERIES_COLOURS[scheme][group.place ?? 0];
        return <span key={JSON.stringify(group.group)} className="bar-group" style={{ ...share(bar?.share ?? 0), color: colour }} title={`${group.name}: ${percent(bar?.share ?? 0)}, ${fullNumber(bar?.count ?? 0)}`} />;
      })}
    </div>
  );
}

/** A number that opens the persons behind it; nobody has no list. */
function NumberLink({ count, unit, words, quiet = false, onOpen }: { count: number; unit: string; words: string; quiet?: boolean; onOpen: (() => void) | undefined }) {
  const text = `${shortNumber(count)} ${words}`;
  if (count === 0 || onOpen === undefined) {
    return (
      <span className={quiet ? "quiet" : undefined} title={`${fullNumber(count)} ${unit}`}>
        {text}
      </span>
    );
  }
  return (
    <button type="button" className={quiet ? "number-link quiet" : "number-link"} title={`${fullNumber(count)} ${unit}`} onClick={onOpen}>
      {text}
    </button>
  );
}

/** The way from the step before, and what was lost on it. */
function Change({ bar, unit, onShow }: Pick<BarsProps, "unit" | "onShow"> & { bar: Bar }) {
  const { change } = bar;
  if (change === null) return null;
  return (
    <>
      {change.conversion !== null && (
        <p className="bar-way" title={bar.optional ? "Of those who did the step before, which goes on without this one" : "Of those who did the step before"}>
          <span aria-hidden="true">→ </span>
          <span className="unseen">from the step before: </span>
          {percent(change.conversion)}
          {change.medianMs !== null && <span className="quiet"> in {duration(change.medianMs)}</span>}
        </p>
      )}
      <p>
        <NumberLink
          count={change.lost}
          unit={unit}
          words={bar.optional ? "went without" : "lost"}
          quiet
          onOpen={opens(onShow, { step: bar.place, outcome: "dropped" })}
        />
      </p>
    </>
  );
}

/** A bar for each step, as high as its share of those who entered; on a phone they lie. */
export function Bars({ bars, groups, unit, onShow }: BarsProps) {
  return (
    // A region that scrolls must be reachable by keyboard.
    // eslint-disable-next-line jsx-a11y-x/no-noninteractive-tabindex
    <section className="bars-scroll" aria-label="Steps of the funnel" tabIndex={0}>
      <ol className="bars tabular">
        {bars.map((bar, at) => (
          <li key={bar.place} data-optional={bar.optional}>
            {groups.length === 0 ? <WholeBar bar={bar} onShow={onShow} /> : <SplitBar groups={groups} at={at} />}
            <div className="bar-words">
              <p className="bar-name cut" title={bar.name}>
                <span className="quiet">{bar.place}</span> {bar.name}
              </p>
              <p className="bar-share">
                <strong>{percent(bar.share)}</strong>{" "}
                <NumberLink
                  count={bar.count}
                  unit={unit}
                  words={unit}
                  onOpen={opens(onShow, { step: bar.place, outcome: "reached" })}
                />
              </p>
              <Change bar={bar} unit={unit} onShow={onShow} />
            </div>
          </li>
        ))}
      </ol>
    </section>
  );
}
