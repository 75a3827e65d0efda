import { Picker } from "../ui/Picker.tsx";
import type { Named } from "./named.ts";
import { CUSTOM_RANGE, RANGES, daysOf } from "./range.ts";

const DEFAULT_DAYS = 7;

function day(msAgo: number): string {
  return new Date(Date.now() - msAgo).toISOString().slice(0, 10);
}

function lastDays(): string {
  return `${day((DEFAULT_DAYS - 1) * 86_400_000)}..${day(0)}`;
}

/** A named range, or two days. */
export function RangeEditor({ range, onChange, choices = RANGES }: { range: string; onChange: (range: string) => void; choices?: Named[] }) {
  const days = daysOf(range);
  const set = (from: string, to: string) => {
    if (from !== "" && to !== "") onChange(from <= to ? `${from}..${to}` : `${to}..${from}`);
  };
  return (
    <span className="sentence-part">
      <Picker
        label="Range"
        choices={choices}
        value={days === null ? range : CUSTOM_RANGE}
        onChange={(picked) => {
          onChange(picked === CUSTOM_RANGE ? (days === null ? lastDays() : range) : picked);
        }}
      />
      {days !== null && (
        <>
          <input
            type="date"
            className="picker day"
            aria-label="First day"
            value={days.from}
            onChange={(event) => {
              set(event.currentTarget.value, days.to);
            }}
          />
          <span className="quiet">to</span>
          <input
            type="date"
            className="picker day"
            aria-label="Last day"
            value={days.to}
            onChange={(event) => {
              set(days.from, event.currentTarget.value);
            }}
          />
        </>
      )}
    </span>
  );
}
