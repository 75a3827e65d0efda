export interface TallyFigure {
  name: string;
  value: string;
  /** In full, on hover. */
  full?: string;
  note?: string;
}

interface TallyProps {
  label: string;
  figures: readonly TallyFigure[];
  /** The figure that is drawn below, where one can be chosen. */
  chosen?: string;
  onChoose?: (name: string) => void;
}

/** Figures side by side; where one can be chosen each is a button. */
export function Tally({ label, figures, chosen, onChoose }: TallyProps) {
  return (
    <div className="panel tally tabular" role="group" aria-label={label}>
      {figures.map(({ name, value, full, note }) => {
        const inside = (
          <>
            <span className="tally-name">{name}</span>
            <strong title={full} data-figure={name}>
              {value}
            </strong>
            <span className="small quiet">{note ?? "\u00a0"}</span>
          </>
        );
        if (onChoose === undefined) return <div key={name}>{inside}</div>;
        return (
          <button
            key={name}
            type="button"
            aria-pressed={name === chosen}
            onClick={() => {
              onChoose(name);
            }}
          >
            {inside}
          </button>
        );
      })}
    </div>
  );
}
